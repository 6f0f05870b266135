//! Tests of `hosts`.
