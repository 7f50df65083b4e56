//! Sets of flags: a list of names, with the bits that have none beside them.

use std::borrow::Cow;
use std::fmt;

use bitflags::Flags;
use serde::de::{Error, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::expectation::ExpectationFlags;
use crate::model::status::{Status, TcpFlags};

/// The names of the bits that are set, lowest first; `0x80000000` for one without.
fn names<F: Flags>(flags: &F) -> impl Iterator<Item = Cow<'static, str>>
where
    F::Bits: Into<u64>,
{
    let bits = flags.bits().into();
    (0..u64::BITS).map(|bit| 1 << bit).filter(move |bit| bits & bit != 0).map(|bit| {
        let named = F::FLAGS.iter().find(|flag| flag.is_named() && flag.value().bits().into() == bit);
        named.map_or_else(|| format!("{bit:#x}").into(), |flag| flag.name().into())
    })
}

/// The bits of a name, or of a number as `0x80000000`.
fn bits<F: Flags>(text: &str) -> Option<F::Bits>
where
    F::Bits: TryFrom<u64>,
{
    if let Some(flags) = F::from_name(text) {
        return Some(flags.bits());
    }
    let digits = text.strip_prefix("0x").filter(|digits| !digits.starts_with('+'))?;
    F::Bits::try_from(u64::from_str_radix(digits, 16).ok()?).ok()
}

fn read<'de, D: Deserializer<'de>, F: Flags>(deserializer: D) -> Result<F, D::Error>
where
    F::Bits: TryFrom<u64>,
{
    struct Names<F>(F);

    impl<'de, F: Flags> Visitor<'de> for Names<F>
    where
        F::Bits: TryFrom<u64>,
    {
        type Value = F;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of flags")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<F, A::Error> {
            let mut all = F::empty().bits();
            while let Some(text) = seq.next_element::<Cow<'de, str>>()? {
                let expected = &"the name of a flag, or a bit as 0x80";
                let one = bits::<F>(&text);
                all = all | one.ok_or_else(|| A::Error::invalid_value(Unexpected::Str(&text), expected))?;
            }
            Ok(F::from_bits_retain(all))
        }
    }

    deserializer.deserialize_seq(Names(F::empty()))
}

macro_rules! lists {
    ($($type:ty),*) => { $(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(names(self))
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                read(deserializer)
            }
        }
    )* };
}

lists!(Status, TcpFlags, ExpectationFlags);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_has_a_name_or_a_number_that_is_read_again() {
        for bit in 0..32 {
            let status = Status::from_bits_retain(1 << bit);
            let [name] = names(&status).collect::<Vec<_>>().try_into().expect("one");
            assert_eq!(bits::<Status>(&name), Some(status.bits()), "{name}");
            assert_eq!(bits::<Status>(&format!("{:#x}", status.bits())), Some(status.bits()));
            assert_eq!(name.starts_with("0x"), bit > 15, "{name}");
        }
        for bad in ["", "assured", "0x", "0x+1", "0xg", "0x100000000", "-1", "2", "SEEN_REPLY|ASSURED"] {
            assert_eq!(bits::<Status>(bad), None, "{bad:?}");
        }
        assert_eq!(bits::<TcpFlags>("0x100"), None);
    }
}
