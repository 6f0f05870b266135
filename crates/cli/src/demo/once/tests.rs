//! Tests of `once`.
