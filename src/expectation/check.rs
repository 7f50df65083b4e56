//! What an expectation must be before it is sent.

use super::Expectation;
use crate::error::InputError;
use crate::flow;
use crate::proto::{Family, Protocol};

/// The C library's field for a function's name has 24 bytes, its NUL included.
const MAX_FUNCTION: usize = 23;

impl Expectation {
    /// Refuses what the kernel or the C library would refuse late, obscurely, or not at all.
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

    fn check_nat(&self) -> Result<(), InputError> {
        let Some(nat) = self.nat else { return Ok(()) };
        let protocol = self.expected.protocol();
        if !protocol.has_ports() && protocol != Protocol::GRE {
            return Err(InputError::NoPorts(protocol));
        }
        match nat.address {
            Some(address) => self.same_family("NAT address", Family::of(&address)),
            None => Ok(()),
        }
    }

    /// The timeout as the kernel takes it.
    pub(crate) fn timeout_secs(&self) -> Result<Option<u32>, InputError> {
        self.timeout.map(flow::whole_seconds).transpose()
    }

    fn same_family(&self, part: &'static str, found: Family) -> Result<(), InputError> {
        let expected = self.expected.family();
        match found == expected {
            true => Ok(()),
            false => Err(InputError::OtherFamily { part, found, expected }),
        }
    }
}
