//! Values written as one word: protocols, states, roles, and names that need not be UTF-8.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::flow::{DccpRole, HelperName};
use crate::model::form::read;
use crate::model::proto::{DccpState, Protocol, SctpState, TcpState};

/// Declares a type to be written as its name, or as its number in digits where it has none.
macro_rules! named {
    ($($type:ty: $expected:literal;)*) => { $(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self.name() {
                    Some(name) => serializer.serialize_str(name),
                    None => serializer.collect_str(&self.number()),
                }
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                read(deserializer, concat!("the name or number of ", $expected), |text| {
                    let named = (0..=u8::MAX).map(Self::from).find(|it| it.name() == Some(text));
                    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
                    named.or_else(|| text.parse::<u8>().ok().filter(|_| digits).map(Self::from))
                })
            }
        }
    )* };
}

named! {
    Protocol: "a protocol";
    TcpState: "a TCP state";
    SctpState: "an SCTP state";
    DccpState: "a DCCP state";
    DccpRole: "a DCCP role";
}

impl DccpRole {
    const fn name(self) -> Option<&'static str> {
        match self {
            Self::Client => Some("client"),
            Self::Server => Some("server"),
            Self::Other(_) => None,
        }
    }
}

/// Bytes as text: UTF-8 stays, any other byte becomes `\xff`, and `\` becomes `\\`.
fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(&chunk.valid().replace('\\', "\\\\"));
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
    }
    text
}

/// The bytes that were [`escaped`].
fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('\\') {
        bytes.extend_from_slice(plain.as_bytes());
        rest = if let Some(rest) = escape.strip_prefix('\\') {
            bytes.push(b'\\');
            rest
        } else {
            let (digits, rest) = escape.strip_prefix('x')?.split_at_checked(2)?;
            let digits = Some(digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
            bytes.push(u8::from_str_radix(digits?, 16).ok()?);
            rest
        };
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(bytes)
}

impl Serialize for HelperName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&escaped(self.as_bytes()))
    }
}

impl<'de> Deserialize<'de> for HelperName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer, "a helper name of 1 to 15 bytes without a NUL", |text| {
            Self::from_bytes(&unescaped(text)?).ok()
        })
    }
}

/// Text of the system that need not be UTF-8.
#[derive(Debug)]
pub(super) struct SystemText(pub(super) OsString);

impl Serialize for SystemText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&escaped(self.0.as_bytes()))
    }
}

impl<'de> Deserialize<'de> for SystemText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "text with \\xff for bytes that are no UTF-8, and \\\\ for \\";
        read(deserializer, expected, |text| Some(Self(OsString::from_vec(unescaped(text)?))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_come_back_and_text_stays_text() {
        for bytes in
            [&b"ftp"[..], b"", b"a\\x41", b"\xff\xfe", b"\\", "µ\u{1f980}".as_bytes(), b"\xc2", b"a\0b"]
        {
            assert_eq!(unescaped(&escaped(bytes)).as_deref(), Some(bytes), "{bytes:?}");
        }
        assert_eq!(escaped(b"system_u:object_r:http_t:s0"), "system_u:object_r:http_t:s0");
        assert_eq!(escaped(b"a\xff\\b"), "a\\xff\\\\b");
        for bad in ["\\", "\\x", "\\x4", "\\xg0", "\\x+1", "\\n", "a\\", "\\xµ"] {
            assert_eq!(unescaped(bad), None, "{bad}");
        }
    }
}
