//! A child process without rights, and its report.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

/// One child at a time: the others would inherit locks that are held at this moment.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs `work` in a child, and returns its text.
pub(crate) fn in_child(work: impl FnOnce() -> String) -> String {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut mine, mut theirs) = UnixStream::pair().expect("a pair of sockets");
    // SAFETY: takes nothing. The child allocates, which the C library allows, and ends without running any
    // code of the test harness.
    let child = unsafe { libc::fork() };
    assert_ne!(child, -1, "{}", std::io::Error::last_os_error());
    if child == 0 {
        let text = catch_unwind(AssertUnwindSafe(work));
        let done = text.is_ok_and(|text| theirs.write_all(text.as_bytes()).is_ok());
        // SAFETY: takes no pointers, and does not return.
        unsafe { libc::_exit(if done { 0 } else { 1 }) }
    }
    drop(theirs);
    let mut text = String::new();
    mine.read_to_string(&mut text).expect("UTF-8");
    let mut status = 0;
    // SAFETY: the status is live.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0, "the child panicked, or a signal ended it: {text}");
    text
}
