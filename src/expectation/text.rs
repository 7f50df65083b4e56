//! An expectation in one line.

use std::fmt;

use super::{Expectation, ExpectationFlags, ExpectationKey, SourceMask};
use crate::status::write_flags;
use crate::zone::Zone;

/// `tcp 10.0.0.1:0 -> 10.0.0.2:5000 from any port, of tcp 10.0.0.1:4 -> 10.0.0.2:21 timeout 300s helper ftp`.
///
/// For reading, not for parsing: the wording may change.
impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}, of {}", self.expected, self.mask, self.master)?;
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

/// ` from any port`, ` from any address`, both or nothing; other masks as their bits.
impl fmt::Display for SourceMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (exact, anything) = (Self::exact(self.family()), Self::anything(self.family()));
        match self {
            mask if *mask == exact => Ok(()),
            mask if *mask == anything => f.write_str(" from any address and port"),
            Self { address, port: 0 } if *address == exact.address => f.write_str(" from any port"),
            Self { address, port: u16::MAX } if *address == anything.address => {
                f.write_str(" from any address")
            }
            Self { address, port } => write!(f, " source mask {address} {port:#x}"),
        }
    }
}

/// `PERMANENT|INACTIVE`; `0x0` when empty.
impl fmt::Display for ExpectationFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_flags(f, self.is_empty(), |f| bitflags::parser::to_writer(self, f))
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
