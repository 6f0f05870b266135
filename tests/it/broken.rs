//! What is broken stays alone: ten thousand damaged objects change nothing for good ones, broken
//! files get findings that help, and a running `weft` serves on.

mod isolation;
mod mutation;
mod pages;
mod program;
mod running;
mod text;
mod world;
