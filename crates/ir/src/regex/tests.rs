//! Tests of `regex`.
