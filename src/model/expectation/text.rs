//! An expectation in one line.

use std::fmt;
use std::str::FromStr;

use super::{Expectation, ExpectationFlags, ExpectationKey, SourceMask};
use crate::model::input::InputError;
use crate::model::key::Key;
use crate::model::status::write_flags;
use crate::model::text;
use crate::model::zone::Zone;

/// `tcp 10.0.0.1:0 -> 10.0.0.2:5000 from any port, of tcp 10.0.0.1:4 -> 10.0.0.2:21 timeout 300s helper ftp`.
///
/// For reading, not for parsing: the wording may change. To read one back, use JSON (feature `serde`), or its
/// [key](Expectation::key). The lines of conntrack(8) are [`Expectation::text`]'s.
impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.expected)?;
        write_source(f, self.mask)?;
        write!(f, ", of {}", self.master)?;
        if let Some(zone) = self.zone.filter(|&zone| zone != Zone::DEFAULT) {
            write!(f, " in {zone}")?;
        }
        if let Some(timeout) = self.timeout {
            write!(f, " timeout {}s", timeout.as_secs())?;
        }
        if !self.flags.is_empty() {
            write!(f, " flags {}", self.flags)?;
        }
        if let Some(helper) = self.helper {
            write!(f, " helper {helper}")?;
        }
        if let Some(class) = self.class.filter(|&class| class != 0) {
            write!(f, " class {class}")?;
        }
        if let Some(nat) = self.nat {
            write!(f, " nat {} port {}", nat.direction, nat.port)?;
            if let Some(address) = nat.address {
                write!(f, " address {address}")?;
            }
        }
        match &self.function {
            Some(function) => write!(f, " by {function}"),
            None => Ok(()),
        }
    }
}

/// Writes what does not count of the source: nothing where all does.
fn write_source(f: &mut fmt::Formatter<'_>, mask: SourceMask) -> fmt::Result {
    let (exact, anything) = (SourceMask::exact(mask.family()), SourceMask::anything(mask.family()));
    match mask {
        mask if mask == exact => Ok(()),
        mask if mask == anything => f.write_str(" from any address and port"),
        SourceMask { address, port: 0 } if address == exact.address => f.write_str(" from any port"),
        SourceMask { address, port: u16::MAX } if address == anything.address => {
            f.write_str(" from any address")
        }
        mask => write!(f, " source mask {mask}"),
    }
}

/// The bits: `255.255.255.0 port 0xffff`.
impl fmt::Display for SourceMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} port {:#x}", self.address, self.port)
    }
}

/// As `Display` shows it.
impl FromStr for SourceMask {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        let whole = || InputError::text(text, "a mask of a source, as `255.255.255.0 port 0xffff`");
        let (address, port) = text.split_once(" port ").ok_or_else(whole)?;
        let digits = port.strip_prefix("0x").and_then(text::hexadecimal);
        let port = digits.and_then(|port| u16::try_from(port).ok()).ok_or_else(whole)?;
        Ok(Self { address: text::expect(address, "the bits of an address")?, port })
    }
}

/// `PERMANENT|INACTIVE`; `0x0` when empty.
impl fmt::Display for ExpectationFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_flags(f, self.is_empty(), |f| bitflags::parser::to_writer(self, f))
    }
}

/// As `Display` shows it; names in any case, and blanks around the bars, are understood too.
impl FromStr for ExpectationFlags {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        text::flags(text, "a flag of an expectation, or a bit as 0x80")
    }
}

/// The expected tuple, and the zone when it is not 0.
impl fmt::Display for ExpectationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.expected)?;
        match self.zone {
            Zone::DEFAULT => Ok(()),
            zone => write!(f, " in {zone}"),
        }
    }
}

/// As `Display` shows it: a tuple, and perhaps ` in zone 10`. The id stays unknown.
impl FromStr for ExpectationKey {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        text.parse::<Key>().map(Self::from)
    }
}
