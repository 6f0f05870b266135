//! Tests of `acceptor`.
