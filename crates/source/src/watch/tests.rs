//! Tests of watching.
