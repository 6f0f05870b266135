//! The processes of a node, as one test binary.

mod netns;
