//! The names of helpers.

use std::fmt;
use std::str::FromStr;

use crate::model::input::InputError;

/// The name of a helper such as `ftp`: 1 to 15 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct HelperName {
    bytes: [u8; Self::MAX_LEN],
    len: u8,
}

impl HelperName {
    /// The most bytes that a name has.
    pub const MAX_LEN: usize = 15;

    /// Checks a name.
    ///
    /// # Errors
    /// [`InputError::HelperName`] for a name that is empty, longer than 15 bytes (which the C
    /// library would cut), or has a NUL byte (which would end it early).
    pub fn new(name: impl AsRef<str>) -> Result<Self, InputError> {
        Self::from_bytes(name.as_ref().as_bytes())
    }

    /// A name as the kernel has it, which need not be UTF-8.
    pub(crate) fn from_bytes(name: &[u8]) -> Result<Self, InputError> {
        if name.is_empty() || name.len() > Self::MAX_LEN || name.contains(&0) {
            return Err(InputError::HelperName);
        }
        let mut bytes = [0; Self::MAX_LEN];
        bytes[..name.len()].copy_from_slice(name);
        Ok(Self { bytes, len: name.len() as u8 })
    }

    /// The name as the kernel spells it; in practice ASCII.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// The name as `Display` shows it: `\xff` stands for a byte that is no printable ASCII, `\\` for a backslash.
/// An ordinary name is read as it is.
impl FromStr for HelperName {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        let name = unescaped(text).ok_or_else(|| InputError::text(text, "the name of a helper"))?;
        Self::from_bytes(&name)
    }
}

/// The bytes that [`escape_ascii`](slice::escape_ascii) shows like this.
fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('\\') {
        bytes.extend_from_slice(plain.as_bytes());
        let kind = escape.chars().next()?;
        rest = escape.get(kind.len_utf8()..)?;
        bytes.push(match kind {
            't' => b'\t',
            'n' => b'\n',
            'r' => b'\r',
            '\\' | '\'' | '"' => kind as u8,
            'x' => {
                let (digits, behind) = rest.split_at_checked(2)?;
                rest = behind;
                let digits =
                    Some(digits).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
                u8::from_str_radix(digits?, 16).ok()?
            }
            _ => return None,
        });
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(bytes)
}

impl PartialEq<str> for HelperName {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

/// The name; a byte that is no printable ASCII as `\xff`.
impl fmt::Display for HelperName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.as_bytes().escape_ascii().to_string())
    }
}

impl fmt::Debug for HelperName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helper_names_have_1_to_15_bytes_and_no_nul() {
        for bad in ["", "sixteen-bytes-xx", "ft\0p"] {
            assert_eq!(HelperName::new(bad), Err(InputError::HelperName), "{bad:?}");
        }
        let longest: HelperName = "fifteen-bytes-x".parse().expect("15 bytes");
        assert_eq!(longest.to_string(), "fifteen-bytes-x");
        assert_eq!(longest, *"fifteen-bytes-x");
    }
}
