//! The C library's own objects, each owned by a Rust value.
