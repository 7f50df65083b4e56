//! The C library without memory, at each of its allocations in turn: `OutOfMemory` each time, or complete
//! success.
//!
//! A program of its own, because it defines `malloc` and `calloc`, which the library then uses. They fail on
//! demand; Rust's own memory comes from other functions. (glibc only: other C libraries do not export
//! theirs.) With `--nocapture` each test prints the number of allocations that failed in turn for each
//! operation, and their places in the library.

#![cfg(target_env = "gnu")]

#[macro_use]
#[path = "../common/mod.rs"]
mod common;
mod objects;
mod queries;
mod watching;

use std::alloc::{GlobalAlloc, Layout};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::ffi::{CStr, c_void};
use std::fmt::Debug;
use std::ptr;

use netfilter_conntrack::nfct::{LabelMapError, ObjectError};
use netfilter_conntrack::{Error, ErrorKind};

unsafe extern "C" {
    fn __libc_malloc(size: usize) -> *mut c_void;
    fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
    fn __libc_memalign(align: usize, size: usize) -> *mut c_void;
    fn __libc_free(place: *mut c_void);
}

/// glibc's memory, bypassing the functions below.
struct Glibc;

// SAFETY: glibc's own functions, with the requested alignment.
unsafe impl GlobalAlloc for Glibc {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: an alignment of Rust's is a power of two.
        unsafe { __libc_memalign(layout.align().max(16), layout.size()) }.cast()
    }

    unsafe fn dealloc(&self, place: *mut u8, _: Layout) {
        // SAFETY: it came from `alloc`.
        unsafe { __libc_free(place.cast()) }
    }
}

#[global_allocator]
static GLIBC: Glibc = Glibc;

thread_local! {
    /// The number of allocations that succeed before one fails. If negative, none fails.
    static LEFT: Cell<i64> = const { Cell::new(-1) };
    static FAILED: Cell<bool> = const { Cell::new(false) };
    /// The places in libraries whose allocations failed.
    static SITES: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
}

/// Returns whether this allocation fails. The next ones succeed again.
fn fails() -> bool {
    let left = LEFT.get();
    LEFT.set((left - 1).max(-1));
    if left != 0 {
        return false;
    }
    FAILED.set(true);
    SITES.with_borrow_mut(|sites| sites.extend(site()));
    // SAFETY: takes nothing, and returns the address of the calling thread's errno.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    unsafe { *errno = libc::ENOMEM };
    true
}

/// The place in the C library that makes this allocation. A function that allocates in a tail call has none:
/// it has left the stack.
fn site() -> Option<String> {
    let mut frames = [ptr::null_mut::<c_void>(); 24];
    // SAFETY: the buffer is live and has room for this many frames.
    let count = unsafe { libc::backtrace(frames.as_mut_ptr(), frames.len() as i32) };
    frames[..usize::try_from(count).unwrap_or(0)].iter().find_map(|&frame| {
        // SAFETY: a plain C struct, for which all zeros is valid.
        let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
        // SAFETY: looks up any address; `info` is live.
        if unsafe { libc::dladdr(frame, &raw mut info) } == 0 {
            return None;
        }
        // SAFETY: the call succeeded, so this is the name of a loaded file.
        let file = unsafe { CStr::from_ptr(info.dli_fname) }.to_string_lossy().into_owned();
        let library =
            ["libnetfilter_conntrack", "libnfnetlink"].into_iter().find(|name| file.contains(name))?;
        Some(format!("{library}+{:#x}", frame as usize - info.dli_fbase as usize))
    })
}

// SAFETY: like glibc's malloc, or fails as that may.
#[unsafe(no_mangle)]
extern "C" fn malloc(size: usize) -> *mut c_void {
    // SAFETY: takes a size.
    if fails() { ptr::null_mut() } else { unsafe { __libc_malloc(size) } }
}

// SAFETY: like glibc's calloc, or fails as that may.
#[unsafe(no_mangle)]
extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    // SAFETY: takes sizes.
    if fails() { ptr::null_mut() } else { unsafe { __libc_calloc(count, size) } }
}

/// Returns whether the library uses the functions above. Memory checkers replace them with their own.
fn in_use() -> bool {
    LEFT.set(0);
    // SAFETY: takes a size.
    let place = std::hint::black_box(unsafe { libc::malloc(8) });
    LEFT.set(-1);
    // SAFETY: it is NULL or came from malloc.
    unsafe { libc::free(place) };
    if !place.is_null() {
        eprintln!("SKIPPED: another malloc is in use");
    }
    place.is_null()
}

/// The kind of an operation's error, for each type of error.
trait Kind: Debug {
    fn kind(&self) -> ErrorKind;
}

impl Kind for Error {
    fn kind(&self) -> ErrorKind {
        self.kind()
    }
}

impl Kind for ObjectError {
    fn kind(&self) -> ErrorKind {
        self.kind()
    }
}

impl Kind for LabelMapError {
    fn kind(&self) -> ErrorKind {
        self.kind()
    }
}

/// Repeats `work` with the first allocation failing, then the second, until every one has failed. An error
/// must be `OutOfMemory`; `check` verifies a success. Returns the number of allocations that failed.
fn at_each_allocation<T, E: Kind>(
    name: &str,
    mut work: impl FnMut() -> Result<T, E>,
    mut check: impl FnMut(T),
) -> usize {
    at_each_with(name, || (), |()| work(), |(), result| result.map(&mut check).err())
}

/// The same, with an argument that is prepared anew each time. `check` verifies the result together with it,
/// and returns the error if there is one.
fn at_each_with<C, T, E: Kind>(
    name: &str,
    mut prepare: impl FnMut() -> C,
    mut work: impl FnMut(&mut C) -> Result<T, E>,
    mut check: impl FnMut(C, Result<T, E>) -> Option<E>,
) -> usize {
    SITES.take();
    for count in 0..1000 {
        let mut prepared = prepare();
        LEFT.set(count);
        FAILED.set(false);
        let result = work(&mut prepared);
        LEFT.set(-1);
        if let Some(error) = check(prepared, result) {
            assert!(FAILED.get(), "{name}, without a failed allocation: {error:?}");
            assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{name}, allocation {count}: {error:?}");
        }
        if !FAILED.get() {
            println!(
                "{name}: {count} allocations, at {}",
                SITES.take().into_iter().collect::<Vec<_>>().join(" ")
            );
            return count as usize;
        }
    }
    panic!("{name}: no end of allocations");
}
