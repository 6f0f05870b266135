//! Tests of loading.

mod speed;
