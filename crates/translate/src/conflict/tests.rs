//! Tests of `conflict`.
