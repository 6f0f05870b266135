//! Capture in real network namespaces of this machine's kernel. Needs root.

mod netns;
