//! Tests of `cert`.
