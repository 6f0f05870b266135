//! Tests of status files.
