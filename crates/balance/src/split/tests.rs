//! Tests of `split`.
