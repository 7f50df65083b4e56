//! Names of connection labels, from a file such as `connlabel.conf`.

use std::ffi::{CStr, CString, OsStr};
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr::{self, NonNull};

use crate::label::Labels;
use crate::sys;

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
/// hold ASCII letters, digits, blanks and `-` only, and lines that say something else, or name a
/// number or use a name again, are passed over.
#[doc(alias = "nfct_labelmap")]
pub struct LabelMap(NonNull<sys::nfct_labelmap>);

// SAFETY: the map is heap memory that only this value points to, and the C functions on it use no
// thread-local or global state.
unsafe impl Send for LabelMap {}
// SAFETY: a map never changes once it is made: through `&LabelMap` only get_name, get_bit and the
// printer are called, which read it.
unsafe impl Sync for LabelMap {}

/// Why a file gave no label map.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelMapError {
    /// The file cannot be opened.
    #[error("cannot read label names from {}: {}", path.display(), io::Error::from_raw_os_error(*errno))]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        errno: i32,
    },
    /// A directory, a device or something else that is not a file, and that the C library would
    /// read as an empty one, or for ever.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// What was to be read.
        path: PathBuf,
    },
    /// The file has no line that names a label.
    #[error("{} names no label", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The map has no label of this name.
    #[error("there is no label {0:?}")]
    UnknownName(String),
    /// The map has a label of this name, but its number is above 127: no flow can have it.
    #[error("label {name:?} has the number {bit}, and flows have labels up to {}", Labels::MAX)]
    TooHigh {
        /// The name.
        name: String,
        /// Its number.
        bit: u16,
    },
}

impl LabelMap {
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

    /// The names in a file.
    ///
    /// # Errors
    /// [`LabelMapError::Open`], [`LabelMapError::NotAFile`]; [`LabelMapError::Empty`] when no line
    /// of the file is of use.
    #[doc(alias = "nfct_labelmap_new")]
    pub fn open(path: impl AsRef<Path>) -> Result<Self, LabelMapError> {
        let path = path.as_ref();
        let failed = |errno| LabelMapError::Open { path: path.to_owned(), errno };
        let errno = |error: io::Error| error.raw_os_error().unwrap_or(libc::EINVAL);
        // The C library reads a directory as empty, and a device that never ends without an end.
        if !fs::metadata(path).map_err(|error| failed(errno(error)))?.is_file() {
            return Err(LabelMapError::NotAFile { path: path.to_owned() });
        }
        let name = CString::new(path.as_os_str().as_bytes()).map_err(|_| failed(libc::EINVAL))?;
        // SAFETY: the name is NUL-terminated and only read; returns an owned map or NULL.
        let map = unsafe { sys::nfct_labelmap_new(name.as_ptr()) };
        // Read at once: it is 0 when the file was read and had nothing in it.
        let cause = io::Error::last_os_error();
        NonNull::new(map).map(Self).ok_or_else(|| match cause.raw_os_error() {
            None | Some(0) => LabelMapError::Empty { path: path.to_owned() },
            Some(errno) => failed(errno),
        })
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
    pub fn iter(&self) -> impl Iterator<Item = (u16, &str)> {
        (0..LIMIT).filter_map(|bit| Some((bit, self.name(bit)?)))
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

/// The C map, or NULL for none.
pub(super) fn as_ptr(map: Option<&LabelMap>) -> *mut sys::nfct_labelmap {
    map.map_or(ptr::null_mut(), LabelMap::as_ptr)
}

#[cfg(test)]
mod tests {
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

    /// What the C library makes of odd lines.
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

    #[test]
    fn is_send_and_sync() {
        fn check<T: Send + Sync>() {}
        check::<LabelMap>();
    }
}
