//! Tables saved and restored.

use std::env;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::PathBuf;

use netfilter_conntrack::Handle;

use super::{Done, Result, Watch};

/// Saves the common table to a file.
pub(super) fn save() -> Result<Done> {
    let mut handle = Handle::open()?;
    let file = Scratch::new();
    let watch = Watch::start()?;
    let flows = save_to(&file, &mut handle)?;
    watch.stop(flows)
}

/// Restores the common table, with this many entries, after it was saved and emptied. Each entry is read
/// back.
pub(super) fn restore(entries: u32) -> Result<Done> {
    let mut handle = Handle::open()?;
    let file = Scratch::new();
    save_to(&file, &mut handle)?;
    handle.flush()?;
    let watch = Watch::start()?;
    let mut restored = 0;
    for line in handle.restore(BufReader::new(File::open(&file.0)?)) {
        line.result?;
        restored += 1;
    }
    let done = watch.stop(restored)?;
    match handle.usage()?.entries {
        found if found == entries => Ok(done),
        found => Err(format!("the table has {found} entries instead of {entries}").into()),
    }
}

fn save_to(file: &Scratch, handle: &mut Handle) -> Result<u64> {
    let saved = handle.dump().save(File::create(&file.0)?)?;
    match saved.is_complete() {
        true => Ok(saved.flows),
        false => Err(format!("the save is not complete: {saved:?}").into()),
    }
}

/// A file that is removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        Self(env::temp_dir().join(format!("nfct-bench-{}.ndjson", std::process::id())))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
