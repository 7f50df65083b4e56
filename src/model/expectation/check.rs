//! Checks of an expectation before it is sent.

use super::Expectation;
use crate::model::address;
use crate::model::flow;
use crate::model::input::InputError;
use crate::model::proto::Family;
use crate::model::tuple::Layer4;

/// The C library's field for a function's name has 24 bytes, its NUL included.
const MAX_FUNCTION: usize = 23;

/// The most seconds that are less than 2^31 ticks of any kernel; a second has at most 1000.
const LONGEST: u32 = i32::MAX as u32 / 1000;

impl Expectation {
    /// Refuses input that the kernel or the C library would refuse late, obscurely, or not at all.
    ///
    /// The kernel reads every tuple of a request by the family in its header.
    pub(crate) fn check(&self) -> Result<(), InputError> {
        self.same_family("master tuple", self.master.family())?;
        self.same_family("mask", self.mask.family())?;
        self.check_nat()?;
        self.timeout_secs()?;
        match &self.function {
            Some(name) if name.is_empty() || name.len() > MAX_FUNCTION || name.contains('\0') => {
                Err(InputError::FunctionName)
            }
            _ => Ok(()),
        }
    }

    /// The expectation as it is meant: beside tuples of IPv4, mapped addresses are IPv4 addresses.
    pub(crate) fn meant(&self) -> Self {
        let mut meant = self.clone();
        let family = self.expected.family();
        meant.mask.address = address::meant_in(family, self.mask.address);
        if let Some(nat) = &mut meant.nat {
            nat.address = nat.address.map(|address| address::meant_in(family, address));
        }
        meant
    }

    fn check_nat(&self) -> Result<(), InputError> {
        let Some(nat) = self.nat else { return Ok(()) };
        if self.expected.ports().is_none() && !matches!(self.expected.layer4(), Layer4::Gre { .. }) {
            return Err(InputError::NoPorts(self.expected.protocol()));
        }
        match nat.address {
            Some(address) => self.same_family("NAT address", Family::as_written(&address)),
            None => Ok(()),
        }
    }

    /// The timeout as the kernel takes it.
    pub(crate) fn timeout_secs(&self) -> Result<Option<u32>, InputError> {
        match self.timeout.map(flow::whole_seconds).transpose()? {
            Some(seconds) if !(1..=LONGEST).contains(&seconds) => Err(InputError::ExpectationTimeout),
            seconds => Ok(seconds),
        }
    }

    fn same_family(&self, part: &'static str, found: Family) -> Result<(), InputError> {
        let expected = self.expected.family();
        match found == expected {
            true => Ok(()),
            false => Err(InputError::OtherFamily { part, found, expected }),
        }
    }
}
