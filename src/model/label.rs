//! Connection labels: 128 bits that rules and programs set on a flow.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};
use std::str::FromStr;

use crate::model::input::InputError;
use crate::model::text;

/// A set of connection labels, numbered 0 to 127.
///
/// A flow has room for labels only if it began while the network namespace had a rule that uses them. You
/// need one of these:
///
/// - an nftables rule that sets one (`ct label set 1`), on every kernel; put it into a chain without a hook,
///   so that it never runs;
/// - an nftables rule that only matches one (`ct label 1`), since Linux 6.18;
/// - an iptables rule with `-m connlabel`, on every kernel.
///
/// Without room, the kernel silently drops the labels of a new flow, and an update of labels fails with
/// `ENOSPC` ([`Error::LabelsOff`](crate::Error::LabelsOff)).
#[doc(alias = "nfct_bitmask")]
#[doc(alias = "ATTR_CONNLABELS")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Labels {
    words: [u32; 4],
}

impl Labels {
    /// The highest label.
    pub const MAX: u16 = 127;

    /// No label.
    #[must_use]
    pub const fn new() -> Self {
        Self { words: [0; 4] }
    }

    /// Every label, as a mask for an update that replaces them all.
    #[must_use]
    pub const fn all() -> Self {
        Self { words: [u32::MAX; 4] }
    }

    /// These labels.
    ///
    /// ```
    /// use netfilter_conntrack::Labels;
    ///
    /// let labels = Labels::of([1, 5])? | Labels::of([64])?;
    /// assert_eq!(labels.to_string(), "1,5,64");
    /// # Ok::<(), netfilter_conntrack::error::InputError>(())
    /// ```
    ///
    /// # Errors
    /// [`InputError::LabelTooHigh`] above 127.
    pub fn of(labels: impl IntoIterator<Item = u16>) -> Result<Self, InputError> {
        labels.into_iter().try_fold(Self::new(), Self::with)
    }

    /// With this label added.
    ///
    /// # Errors
    /// [`InputError::LabelTooHigh`] above 127.
    #[doc(alias = "nfct_bitmask_set_bit")]
    pub fn with(mut self, label: u16) -> Result<Self, InputError> {
        let bit = Self::check(label)?;
        self.words[bit / 32] |= 1 << (bit % 32);
        Ok(self)
    }

    /// With this label taken away.
    ///
    /// # Errors
    /// [`InputError::LabelTooHigh`] above 127.
    #[doc(alias = "nfct_bitmask_unset_bit")]
    pub fn without(mut self, label: u16) -> Result<Self, InputError> {
        let bit = Self::check(label)?;
        self.words[bit / 32] &= !(1 << (bit % 32));
        Ok(self)
    }

    fn check(label: u16) -> Result<usize, InputError> {
        match label {
            0..=Self::MAX => Ok(usize::from(label)),
            label => Err(InputError::LabelTooHigh(label)),
        }
    }

    /// Whether the label is in the set; none above 127 is.
    #[doc(alias = "nfct_bitmask_test_bit")]
    #[must_use]
    pub fn contains(&self, label: u16) -> bool {
        Self::check(label).is_ok_and(|bit| self.words[bit / 32] & 1 << (bit % 32) != 0)
    }

    /// Whether the set has no label.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words == [0; 4]
    }

    /// The labels of both sets.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self { words: std::array::from_fn(|word| self.words[word] | other.words[word]) }
    }

    /// Whether the sets have a label in common.
    #[must_use]
    pub fn intersects(&self, other: &Self) -> bool {
        self.words.iter().zip(other.words).any(|(own, other)| own & other != 0)
    }

    /// The labels, lowest first.
    #[must_use]
    pub fn iter(&self) -> Iter {
        Iter { left: *self }
    }

    /// The bits as the kernel and the C library hold them: words in host order, lowest label first.
    pub(crate) const fn words(&self) -> [u32; 4] {
        self.words
    }

    /// From the kernel's words; a kernel with fewer labels sends fewer of them.
    pub(crate) fn from_words(words: impl IntoIterator<Item = u32>) -> Self {
        let mut labels = Self::new();
        for (own, word) in labels.words.iter_mut().zip(words) {
            *own = word;
        }
        labels
    }
}

/// The labels of both sets.
impl BitOr for Labels {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

impl BitOrAssign for Labels {
    fn bitor_assign(&mut self, other: Self) {
        *self = self.union(other);
    }
}

/// The labels of all sets. From numbers a set is made by [`Labels::of`], which checks them.
impl FromIterator<Self> for Labels {
    fn from_iter<I: IntoIterator<Item = Self>>(sets: I) -> Self {
        sets.into_iter().fold(Self::new(), Self::union)
    }
}

/// The numbers with commas between them.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, label) in self.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            write!(f, "{comma}{label}")?;
        }
        Ok(())
    }
}

/// As `Display` shows it: numbers with commas, and perhaps blanks, between them. Nothing is no label.
impl FromStr for Labels {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        if text.is_empty() {
            return Ok(Self::new());
        }
        let number = |part: &str| text::expect_number(part.trim(), "the number of a label");
        text.split(',').try_fold(Self::new(), |labels, part| labels.with(number(part)?))
    }
}

/// The labels of a set, lowest first.
#[derive(Debug, Clone)]
pub struct Iter {
    left: Labels,
}

impl Iterator for Iter {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        let (number, word) = self.left.words.iter_mut().enumerate().find(|(_, word)| **word != 0)?;
        let bit = word.trailing_zeros();
        // Clears the lowest bit.
        *word &= *word - 1;
        Some(number as u16 * 32 + bit as u16)
    }
}

impl IntoIterator for Labels {
    type Item = u16;
    type IntoIter = Iter;

    fn into_iter(self) -> Iter {
        Iter { left: self }
    }
}

impl IntoIterator for &Labels {
    type Item = u16;
    type IntoIter = Iter;

    fn into_iter(self) -> Iter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_go_from_0_to_127() {
        let labels =
            Labels::new().with(0).and_then(|l| l.with(64)).and_then(|l| l.with(127)).expect("in range");
        assert_eq!(labels.iter().collect::<Vec<_>>(), [0, 64, 127]);
        assert!(Labels::all().into_iter().eq(0..=127) && (&Labels::new()).into_iter().next().is_none());
        assert_eq!(labels.words(), [1, 0, 1, 1 << 31]);
        assert_eq!(labels.to_string(), "0,64,127");
        assert_eq!(Labels::from_words(labels.words()), labels);
        assert_eq!(Labels::of([127, 0, 64]), Ok(labels));
        assert_eq!(Labels::of([0, 128]), Err(InputError::LabelTooHigh(128)));
        let mut parts = Labels::of([0]).expect("in range");
        parts |= Labels::of([64]).expect("in range") | Labels::of([127]).expect("in range");
        assert_eq!([parts, labels].into_iter().collect::<Labels>(), labels);
        assert_eq!(labels.with(128), Err(InputError::LabelTooHigh(128)));
        assert!(!labels.contains(128) && !labels.contains(u16::MAX));
        assert!(!labels.without(64).expect("in range").contains(64));
    }
}
