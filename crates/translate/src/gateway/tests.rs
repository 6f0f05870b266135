//! Tests of `gateway`.
