//! Parts of text that several types are read from.

use std::str::FromStr;

use bitflags::Flags;

use super::input::InputError;

/// A number in digits alone: no sign, no blanks.
pub(super) fn number<T: FromStr>(text: &str) -> Option<T> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// As [`number`], or an error.
pub(crate) fn expect_number<T: FromStr>(text: &str, expected: &'static str) -> Result<T, InputError> {
    number(text).ok_or_else(|| InputError::text(text, expected))
}

/// Anything that `FromStr` reads, with an error of ours.
pub(super) fn expect<T: FromStr>(text: &str, expected: &'static str) -> Result<T, InputError> {
    text.parse().map_err(|_| InputError::text(text, expected))
}

/// Names of flags in any case, and bits as `0x80`, with bars and perhaps blanks between them.
pub(super) fn flags<F: Flags>(text: &str, expected: &'static str) -> Result<F, InputError>
where
    F::Bits: TryFrom<u64>,
{
    let mut all = F::empty().bits();
    for part in text.split('|').map(str::trim) {
        let named = || F::FLAGS.iter().find(|flag| flag.is_named() && flag.name().eq_ignore_ascii_case(part));
        let bits = match part.strip_prefix("0x") {
            Some(digits) => hexadecimal(digits).and_then(|bits| F::Bits::try_from(bits).ok()),
            None => named().map(|flag| flag.value().bits()),
        };
        all = all | bits.ok_or_else(|| InputError::text(part, expected))?;
    }
    Ok(F::from_bits_retain(all))
}

/// A number in hexadecimal digits alone.
pub(super) fn hexadecimal(digits: &str) -> Option<u64> {
    let all = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(digits, 16).ok().filter(|_| all)
}
