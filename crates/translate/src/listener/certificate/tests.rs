//! Tests of `listener/certificate`.
