//! Names of connection labels, from a file such as `connlabel.conf`.

mod error;

use std::ffi::{CStr, CString, OsStr};
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::ptr::{self, NonNull};

use super::callback::{errno, set_errno};
use crate::model::label::Labels;
use crate::sys;
pub use error::LabelMapError;

/// Label numbers that a map may name; the kernel keeps only the first 128.
const LIMIT: u16 = 1024;

/// The names of connection labels, as a file gives them.
///
/// Each line of the file has a number below 1024 and a name, with blanks between them:
///
/// ```text
/// 0    eth0-in
/// 1    eth0-out
/// 0x10 customer portal
/// ```
///
/// Lines that begin with `#` are comments. As in every program that uses the C library, names may
/// hold ASCII letters, digits, blanks and `-` only. Other lines, and those that name a number or use a name
/// again, are skipped.
#[doc(alias = "nfct_labelmap")]
pub struct LabelMap(NonNull<sys::nfct_labelmap>);

// SAFETY: the map is heap memory that only this value points to, and the C functions on it use no
// thread-local or global state.
unsafe impl Send for LabelMap {}
// SAFETY: a map never changes once it is made: through `&LabelMap` only get_name, get_bit and the
// printer are called, which read it.
unsafe impl Sync for LabelMap {}

impl LabelMap {
    /// The largest file that is read: 1 MiB, 1,024 names of the longest kind.
    pub const MAX_SIZE: usize = 1 << 20;

    /// The names of this system, from the file at [`system_path`](Self::system_path).
    ///
    /// # Errors
    /// [`LabelMapError::Open`] when there is no such file, as on most systems; the others of
    /// [`open`](Self::open).
    pub fn system() -> Result<Self, LabelMapError> {
        Self::open(Self::system_path())
    }

    /// Where the C library keeps the names of the system: `/etc/xtables/connlabel.conf`.
    #[doc(alias = "nfct_labels_get_path")]
    #[must_use]
    pub fn system_path() -> &'static Path {
        // SAFETY: takes nothing and returns a string constant of the library.
        let path = unsafe { sys::nfct_labels_get_path() };
        // SAFETY: a NUL-terminated constant that lives as long as the program.
        let path = unsafe { CStr::from_ptr(path) };
        Path::new(OsStr::from_bytes(path.to_bytes()))
    }

    /// The names in a file of at most [`MAX_SIZE`](Self::MAX_SIZE) bytes.
    ///
    /// # Errors
    /// [`LabelMapError::Open`], also for a file that would have to be waited for (`EAGAIN`);
    /// [`LabelMapError::NotAFile`]; [`LabelMapError::TooLarge`]; [`LabelMapError::Empty`] when no line
    /// of the file is of use; [`LabelMapError::OutOfMemory`].
    #[doc(alias = "nfct_labelmap_new")]
    pub fn open(path: impl AsRef<Path>) -> Result<Self, LabelMapError> {
        let path = path.as_ref();
        let failed = |error: io::Error| LabelMapError::Open {
            path: path.to_owned(),
            errno: error.raw_os_error().unwrap_or(libc::EINVAL),
        };
        let text = read(path, &failed)?;
        let copy = in_memory(&text).map_err(failed)?;
        // Without /proc the library reads the file itself.
        let source = PathBuf::from(format!("/proc/self/fd/{}", copy.as_raw_fd()));
        let source = if source.exists() { &source } else { path };
        let name = CString::new(source.as_os_str().as_bytes()).map_err(|error| failed(error.into()))?;
        set_errno(0);
        // SAFETY: the name is NUL-terminated and only read; returns an owned map or NULL.
        let map = unsafe { sys::nfct_labelmap_new(name.as_ptr()) };
        let errno = errno();
        let map = NonNull::new(map).map(Self);
        match (map, errno) {
            // The library passes over a line that it has no memory for.
            (_, libc::ENOMEM) => Err(LabelMapError::OutOfMemory),
            (Some(map), _) => Ok(map),
            (None, 0) => Err(LabelMapError::Empty { path: path.to_owned() }),
            (None, errno) => Err(failed(io::Error::from_raw_os_error(errno))),
        }
    }

    /// The name of a label, if it has one.
    #[doc(alias = "nfct_labelmap_get_name")]
    #[must_use]
    pub fn name(&self, bit: u16) -> Option<&str> {
        // SAFETY: the map is alive and only read; any number may be asked for. The string belongs
        // to the map, or is a constant.
        let name = unsafe { sys::nfct_labelmap_get_name(self.as_ptr(), bit.into()) };
        if name.is_null() {
            return None;
        }
        // SAFETY: a NUL-terminated string that neither changes nor goes away while the map is
        // borrowed.
        let name = unsafe { CStr::from_ptr(name) };
        // Names are ASCII; a number below the highest one that has none has the name "".
        name.to_str().ok().filter(|name| !name.is_empty())
    }

    /// The number of the label with this name.
    #[doc(alias = "nfct_labelmap_get_bit")]
    #[must_use]
    pub fn bit(&self, name: &str) -> Option<u16> {
        let name = CString::new(name).ok()?;
        // SAFETY: map and name are alive and only read; returns -1 for an unknown name.
        let bit = unsafe { sys::nfct_labelmap_get_bit(self.as_ptr(), name.as_ptr()) };
        u16::try_from(bit).ok()
    }

    /// Every label that has a name, lowest number first.
    pub fn iter(&self) -> LabelNames<'_> {
        LabelNames { map: self, bits: 0..LIMIT }
    }

    /// The labels with these names.
    ///
    /// # Errors
    /// [`LabelMapError::UnknownName`]; [`LabelMapError::TooHigh`] for one above 127.
    pub fn labels<N: AsRef<str>>(&self, names: impl IntoIterator<Item = N>) -> Result<Labels, LabelMapError> {
        names.into_iter().try_fold(Labels::new(), |labels, name| {
            let name = name.as_ref();
            let bit = self.bit(name).ok_or_else(|| LabelMapError::UnknownName(name.to_owned()))?;
            labels.with(bit).map_err(|_| LabelMapError::TooHigh { name: name.to_owned(), bit })
        })
    }

    /// The names of these labels, lowest number first; labels without a name are left out.
    pub fn names(&self, labels: Labels) -> impl Iterator<Item = &str> {
        labels.iter().filter_map(|bit| self.name(bit))
    }

    pub(super) fn as_ptr(&self) -> *mut sys::nfct_labelmap {
        self.0.as_ptr()
    }
}

impl Drop for LabelMap {
    #[doc(alias = "nfct_labelmap_destroy")]
    fn drop(&mut self) {
        // SAFETY: this value is the only owner, and no name borrowed from it is left.
        unsafe { sys::nfct_labelmap_destroy(self.as_ptr()) };
    }
}

impl fmt::Debug for LabelMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// The content of a file, read without waiting and with an end.
fn read(path: &Path, failed: &impl Fn(io::Error) -> LabelMapError) -> Result<Vec<u8>, LabelMapError> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = File::options().read(true).custom_flags(flags).open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(LabelMapError::NotAFile { path: path.to_owned() });
    }
    let mut text = Vec::new();
    file.take(LabelMap::MAX_SIZE as u64 + 1).read_to_end(&mut text).map_err(failed)?;
    match text.len() > LabelMap::MAX_SIZE {
        true => Err(LabelMapError::TooLarge { path: path.to_owned() }),
        false => Ok(text),
    }
}

/// A file in memory for the library to read, which cannot change meanwhile.
fn in_memory(text: &[u8]) -> io::Result<File> {
    // SAFETY: the name is NUL-terminated and only read.
    let fd = unsafe { libc::memfd_create(c"labels".as_ptr(), libc::MFD_CLOEXEC) };
    if fd == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just opened, and nothing else has it.
    let mut file = unsafe { File::from_raw_fd(fd) };
    for line in text.split_inclusive(|&byte| byte == b'\n').filter(|line| has_short_number(line)) {
        file.write_all(line)?;
    }
    Ok(file)
}

/// Whether a line begins with something shorter than a number that fits nowhere. The library passes
/// over others, but not without setting errno.
fn has_short_number(line: &[u8]) -> bool {
    let word = line.trim_ascii_start().iter().take_while(|byte| !byte.is_ascii_whitespace());
    word.count() <= 32
}

/// The C map, or NULL for none.
pub(super) fn as_ptr(map: Option<&LabelMap>) -> *mut sys::nfct_labelmap {
    map.map_or(ptr::null_mut(), LabelMap::as_ptr)
}

/// The labels of a [`LabelMap`] that have a name, lowest number first.
#[derive(Debug, Clone)]
#[must_use = "iterators are lazy"]
pub struct LabelNames<'m> {
    map: &'m LabelMap,
    bits: Range<u16>,
}

impl<'m> Iterator for LabelNames<'m> {
    type Item = (u16, &'m str);

    fn next(&mut self) -> Option<(u16, &'m str)> {
        let map = self.map;
        self.bits.find_map(|bit| Some((bit, map.name(bit)?)))
    }
}

impl<'m> IntoIterator for &'m LabelMap {
    type Item = (u16, &'m str);
    type IntoIter = LabelNames<'m>;

    fn into_iter(self) -> LabelNames<'m> {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A file that is removed again.
    pub(crate) struct TempFile(pub(crate) PathBuf);

    impl TempFile {
        pub(crate) fn new(name: &str, content: &str) -> Self {
            let path = std::env::temp_dir().join(format!("nfct-{}-{name}", std::process::id()));
            fs::write(&path, content).expect("a file");
            Self(path)
        }
    }

    impl Drop for TempFile {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    fn open(name: &str, content: &str) -> Result<LabelMap, LabelMapError> {
        LabelMap::open(&TempFile::new(name, content).0)
    }

    #[test]
    fn names_and_numbers_are_found_both_ways() {
        let map =
            open("good", "# comment\n0 eth0-in\n1\teth0-out \n0x10 customer portal\n200 high\n").unwrap();
        assert_eq!(
            map.iter().collect::<Vec<_>>(),
            [(0, "eth0-in"), (1, "eth0-out"), (16, "customer portal"), (200, "high")]
        );
        assert_eq!(map.bit("customer portal"), Some(16));
        assert_eq!((map.bit("nobody"), map.bit(""), map.bit("eth0\0-in")), (None, None, None));
        assert_eq!((map.name(2), map.name(201), map.name(u16::MAX)), (None, None, None));
        assert_eq!(
            format!("{map:?}"),
            r#"{0: "eth0-in", 1: "eth0-out", 16: "customer portal", 200: "high"}"#
        );
    }

    #[test]
    fn names_become_labels_and_back() {
        let map = open("labels", "3 a\n5 b\n200 high\n").unwrap();
        let labels = map.labels(["b", "a"]).unwrap();
        assert_eq!(labels.iter().collect::<Vec<_>>(), [3, 5]);
        let more = labels.with(100).unwrap();
        assert_eq!(map.names(more).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(map.labels(["c"]), Err(LabelMapError::UnknownName("c".into())));
        assert_eq!(
            map.labels(["high"]).unwrap_err().to_string(),
            "label \"high\" has the number 200, and flows have labels up to 127"
        );
    }

    /// Odd lines, as the C library reads them.
    #[test]
    fn odd_lines_are_passed_over() {
        let long = "x".repeat(5000);
        let text = format!(
            "1 first\n1 second\n2 first\n3 semi;colon\n4 b\u{e4}d\n5\n1024 over\n-1 minus\nnone\n\n 6 six\n7 {long}\n010 octal"
        );
        let map = open("odd", &text).unwrap();
        let short: Vec<_> = map.iter().filter(|(_, name)| name.len() < 100).collect();
        assert_eq!(short, [(1, "first"), (6, "six"), (8, "octal")]);
        // A line of more than 1023 bytes is cut there.
        assert_eq!(map.name(7).map(str::len), Some(1021));
    }

    #[test]
    fn a_file_without_labels_is_an_error_of_its_own() {
        for (name, content) in [("empty", ""), ("comments", "# 1 a\n"), ("nothing", "a\nb\n")] {
            assert!(matches!(open(name, content), Err(LabelMapError::Empty { .. })), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let open = |path: &str| LabelMap::open(path).unwrap_err();
        assert!(matches!(open("/nonexistent/labels"), LabelMapError::Open { errno: libc::ENOENT, .. }));
        assert!(matches!(open("/tmp"), LabelMapError::NotAFile { .. }));
        assert!(matches!(open("/dev/zero"), LabelMapError::NotAFile { .. }));
        assert!(matches!(open("/proc/self/status"), LabelMapError::Empty { .. }));
        assert!(matches!(open("nul\0byte"), LabelMapError::Open { errno: libc::EINVAL, .. }));
        assert_eq!(
            open("/nonexistent/labels").to_string(),
            "cannot read label names from /nonexistent/labels: No such file or directory (os error 2)"
        );
        assert_eq!(LabelMap::system_path(), Path::new("/etc/xtables/connlabel.conf"));
        if !LabelMap::system_path().exists() {
            assert!(matches!(LabelMap::system(), Err(LabelMapError::Open { errno: libc::ENOENT, .. })));
        }
    }

    /// A pipe is not waited for, even if somebody writes to it.
    #[test]
    fn nothing_is_waited_for() {
        let path = std::env::temp_dir().join(format!("nfct-{}-pipe", std::process::id()));
        let name = CString::new(path.as_os_str().as_bytes()).unwrap();
        // SAFETY: the name is NUL-terminated and only read.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        let result = LabelMap::open(&path);
        fs::remove_file(&path).unwrap();
        assert!(matches!(result, Err(LabelMapError::NotAFile { .. })), "{result:?}");
    }

    #[test]
    fn a_file_has_a_largest_size() {
        let line = "# a comment of sixty-four bytes, one after the other, and on...\n";
        let text = format!("1 first\n{}", line.repeat(LabelMap::MAX_SIZE / line.len()));
        assert!(matches!(open("large", &text), Err(LabelMapError::TooLarge { .. })));
        let map = open("fits", &text[..LabelMap::MAX_SIZE]).unwrap();
        assert_eq!(map.bit("first"), Some(1));
        let map = open("odd-number", &format!("{} overflows\n2 second\n", "9".repeat(40))).unwrap();
        assert_eq!(map.iter().collect::<Vec<_>>(), [(2, "second")]);
    }

    #[test]
    fn is_send_and_sync() {
        fn check<T: Send + Sync>() {}
        check::<LabelMap>();
    }
}
