//! Settings of the whole machine, which a test may change on a machine of its own, such as those that
//! `./dev kernels` boots.

use std::{env, fs};

use super::lacks;

/// Returns whether this machine is the test's own. Otherwise reports that the test, which needs `what` for itself,
/// is skipped.
#[must_use]
pub fn is_own(what: &str) -> bool {
    let own = env::var_os("NFCT_OWN_KERNEL").is_some();
    if !own {
        lacks(&format!("{what} of its own, as on the machines of ./dev kernels"));
    }
    own
}

/// A setting with another value, restored on drop.
pub struct Setting {
    path: &'static str,
    before: String,
}

impl Setting {
    pub fn new(path: &'static str, value: &str) -> Self {
        let before = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        fs::write(path, value).unwrap_or_else(|error| panic!("{path}: {error}"));
        Self { path, before }
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        let _ = fs::write(self.path, self.before.trim());
    }
}
