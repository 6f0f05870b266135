//! Tests of `info`.
