//! Tests of `translator`.
