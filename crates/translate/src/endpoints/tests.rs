//! Tests of `endpoints`.
