//! Tests of `listener`.
