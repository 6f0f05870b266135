//! Tests of `refused`.
