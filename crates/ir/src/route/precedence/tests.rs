//! Tests of `precedence`.
