//! Tests of `shadow`.
