//! The targets of `./dev fuzz`: one function each, which takes the fuzzer's bytes and panics if a promise is
//! broken.
//!
//! This module exists only in builds with `--cfg nfct_fuzz`. It uses the generators of the unit tests, which
//! build valid input from the fuzzer's bytes: a small change of the bytes is a small change of that input.

mod json;
mod messages;
mod objects;
mod requests;
mod seeds;
mod selectors;
pub(crate) mod source;
mod text;

/// (1) Messages about entries and expectations: the guard, the C parser, text, clone, copy, comparison, and
/// messages built from the parsed objects.
pub fn messages(data: &[u8]) {
    messages::handled(data);
}

/// (2) The same messages, read by our decoder and by the C library's getters: they differ only as the list in
/// `nfct/tests/differences.rs` allows.
pub fn decoder(data: &[u8]) {
    messages::compared(data);
}

/// (3) Flows and expectations as requests: read back they are equal, and a delete always has its tuple.
pub fn requests(data: &[u8]) {
    requests::run(data);
}

/// (4) JSON, and the lines of saves.
pub fn json(data: &[u8]) {
    json::run(data);
}

/// (5) Selectors compared with a naive evaluation, and programs for the kernel compared with selectors.
pub fn selectors(data: &[u8]) {
    selectors::run(data);
}

/// (6) Lines of flows and expectations compared with those of the C library.
pub fn text(data: &[u8]) {
    text::run(data);
}

/// (7) Sequences of operations on objects of the C library.
pub fn objects(data: &[u8]) {
    objects::run(data);
}

/// Writes the first inputs of each target into a folder with the target's name.
///
/// # Errors
/// Returns the error of the file system.
pub fn seeds(folder: &std::path::Path) -> std::io::Result<()> {
    seeds::write(folder)
}
