//! What `./dev fuzz` runs: a function for each of its targets, which takes the fuzzer's bytes and panics where a
//! promise is broken.
//!
//! This module is there in a build with `--cfg nfct_fuzz` alone. It uses the generators of the unit tests: with the
//! fuzzer's bytes they are what a valid thing is made of, and so small changes of the bytes are small changes of
//! the thing.

mod json;
mod messages;
mod objects;
mod requests;
mod seeds;
mod selectors;
pub(crate) mod source;
mod text;

/// (1) Messages about entries and expectations: the guard, the C parser, text, clone, copy, comparison, and
/// messages built of what was read.
pub fn messages(data: &[u8]) {
    messages::handled(data);
}

/// (2) The same messages, read by our decoder and by the C library's getters: they differ only as the list in
/// `nfct/tests/differences.rs` allows.
pub fn decoder(data: &[u8]) {
    messages::compared(data);
}

/// (3) Flows and expectations as requests: read again they are the same, and a delete always has its tuple.
pub fn requests(data: &[u8]) {
    requests::run(data);
}

/// (4) JSON, and the lines of saves.
pub fn json(data: &[u8]) {
    json::run(data);
}

/// (5) Selectors beside a naive evaluation, and programs for the kernel beside selectors.
pub fn selectors(data: &[u8]) {
    selectors::run(data);
}

/// (6) Lines of flows and expectations beside those of the C library.
pub fn text(data: &[u8]) {
    text::run(data);
}

/// (7) Sequences of operations on objects of the C library.
pub fn objects(data: &[u8]) {
    objects::run(data);
}

/// Writes the first input of each target into a folder of its name.
///
/// # Errors
/// What the file system says.
pub fn seeds(folder: &std::path::Path) -> std::io::Result<()> {
    seeds::write(folder)
}
