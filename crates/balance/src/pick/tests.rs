//! Tests of `pick`.
