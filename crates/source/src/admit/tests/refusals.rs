//! What is refused, row by row.
