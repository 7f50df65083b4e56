//! Netlink attributes: a length, a type, a value, padded to four bytes.
//!
//! Everything here works on byte slices and cannot read outside them, for any bytes.

pub(crate) use crate::error::Malformed;

/// Size of an attribute's header.
pub(crate) const HEADER: usize = 4;
/// Set in the type of an attribute that holds attributes.
pub(crate) const NESTED: u16 = 1 << 15;
/// The bits of the type word that are the type.
const TYPE_MASK: u16 = !(NESTED | 1 << 14);

/// One attribute of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attribute<'a> {
    /// The type, without the flag bits.
    pub(crate) kind: u16,
    /// The value, without header and padding.
    pub(crate) value: &'a [u8],
}

impl<'a> Attribute<'a> {
    /// The attributes inside this one.
    pub(crate) fn nested(&self) -> Attributes<'a> {
        Attributes::new(self.value)
    }

    /// The value as exactly `N` bytes.
    pub(crate) fn array<const N: usize>(&self, what: &'static str) -> Result<[u8; N], Malformed> {
        self.value.try_into().map_err(|_| Malformed::new(what, "wrong length"))
    }

    pub(crate) fn u8(&self, what: &'static str) -> Result<u8, Malformed> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    pub(crate) fn be16(&self, what: &'static str) -> Result<u16, Malformed> {
        self.array(what).map(u16::from_be_bytes)
    }

    pub(crate) fn be32(&self, what: &'static str) -> Result<u32, Malformed> {
        self.array(what).map(u32::from_be_bytes)
    }

    pub(crate) fn be64(&self, what: &'static str) -> Result<u64, Malformed> {
        self.array(what).map(u64::from_be_bytes)
    }
}

/// The attributes in a stretch of bytes; ends after the first error.
#[derive(Debug, Clone)]
pub(crate) struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// All of it as exactly `N` words, to compare with a [layout](super::layout).
    #[inline]
    pub(crate) fn words<const N: usize>(&self) -> Option<[u32; N]> {
        match self.rest.len() == 4 * N {
            true => self.next_words(),
            false => None,
        }
    }

    /// The next `N` words, which are still to be [passed](Self::pass_words).
    #[inline]
    pub(crate) fn next_words<const N: usize>(&self) -> Option<[u32; N]> {
        let bytes = self.rest.get(..4 * N)?;
        let mut words = [0; N];
        for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(4)) {
            *word = u32::from_ne_bytes(*bytes.first_chunk()?);
        }
        Some(words)
    }

    /// Goes on behind the next `words` words, which must be whole attributes.
    #[inline]
    pub(crate) fn pass_words(&mut self, words: usize) {
        self.rest = self.rest.get(4 * words..).unwrap_or_default();
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<Attribute<'a>, Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        // Fewer bytes than a header are padding; the kernel's and libmnl's walkers stop there too.
        if self.rest.len() < HEADER {
            return None;
        }
        // Checked once, so the compiler needs no further length checks.
        let (len, behind) = self.rest.split_first_chunk()?;
        let (kind, _) = behind.split_first_chunk()?;
        let len = usize::from(u16::from_ne_bytes(*len));
        let Some(value) = self.rest.get(HEADER..len) else {
            self.rest = &[];
            return Some(Err(Malformed::new("attribute", "length outside its message")));
        };
        self.rest = &self.rest[aligned(len).min(self.rest.len())..];
        Some(Ok(Attribute { kind: u16::from_ne_bytes(*kind) & TYPE_MASK, value }))
    }
}

/// A length with the padding that follows it.
pub(crate) const fn aligned(len: usize) -> usize {
    (len + 3) & !3
}

/// Attributes being written, without a bound but that of their own lengths.
#[cfg(feature = "nfct")]
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

#[cfg(feature = "nfct")]
impl Writer {
    /// Adds an attribute. `kind` is written as given, flag bits included.
    pub(crate) fn put(&mut self, kind: u16, value: &[u8]) -> Result<(), Malformed> {
        let start = self.bytes.len();
        self.bytes.extend([0, 0]);
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(value);
        self.close(start)
    }

    /// Adds an attribute of attributes, filled in by `fill`.
    pub(crate) fn nested(
        &mut self,
        kind: u16,
        fill: impl FnOnce(&mut Self) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let start = self.bytes.len();
        self.bytes.extend([0, 0]);
        self.bytes.extend((kind | NESTED).to_ne_bytes());
        fill(self)?;
        self.close(start)
    }

    fn close(&mut self, start: usize) -> Result<(), Malformed> {
        let len = u16::try_from(self.bytes.len() - start);
        let len = len.map_err(|_| Malformed::new("attribute", "longer than an attribute can be"))?;
        self.bytes[start..start + 2].copy_from_slice(&len.to_ne_bytes());
        self.bytes.resize(aligned(self.bytes.len()), 0);
        Ok(())
    }

    /// The written bytes.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
