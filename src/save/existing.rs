//! Entries that are there already when a flow is restored.

use std::io::BufRead;

use super::compare::differences;
use super::error::RestoreError;
use super::restore::{Candidate, Restore, Restored};
use crate::error::{Error, Result};
use crate::model::flow::Flow;

/// How often an entry that packets make anew is deleted for one that was saved.
const REPLACED: usize = 4;

/// How [`Restore`] treats an entry that exists already, with the original tuple and the zone of a
/// saved flow.
///
/// An existing entry that equals the saved flow is never an error, so you can restore a save twice with the
/// same outcome. Where one of its tuples is that of another flow, in the other direction or behind NAT, a flow
/// is never restored: [`Error::Exists`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Existing {
    /// Another one is left as it is, and the result is [`Error::Exists`].
    #[default]
    Fail,
    /// Another one is left as it is, and the result is `Ok`.
    Skip,
    /// Another one is deleted, and the flow is created as it was saved. Between the two a packet can find
    /// no entry; where that makes a new one, it is deleted too. One that is as it was saved gets the
    /// timeout that was saved, unless its timeout is fixed. Of a flow that the kernel refuses there is then
    /// no entry at all; the result is its error.
    Overwrite,
}

impl<R: BufRead> Restore<'_, R> {
    /// Treats an entry that is in the way of a flow. Returns the flow where the entry has been deleted.
    pub(super) fn meet(
        &mut self,
        mut candidate: Candidate,
        error: Error,
        results: &mut Vec<Restored>,
    ) -> Option<Candidate> {
        let mut existed = true;
        let verdict = match self.existing {
            Existing::Fail if !self.verify => Err(RestoreError::Create(error)),
            existing => match self.handle.get(candidate.saved.original.in_zone(candidate.saved.zone)) {
                Ok(_) if existing == Existing::Skip => Ok(()),
                Ok(found) if self.verify && is_alike(&candidate, &found) => {
                    if existing == Existing::Overwrite { self.renew(&candidate) } else { Ok(()) }
                }
                Ok(found) if existing == Existing::Overwrite && candidate.replaced < REPLACED => {
                    match self.handle.delete(&found) {
                        Ok(()) | Err(Error::NotFound(_)) => {
                            candidate.replaced += 1;
                            return Some(candidate);
                        }
                        Err(error) => Err(error),
                    }
                }
                Ok(_) => Err(error),
                // One of the tuples is that of another flow, in either direction.
                Err(Error::NotFound(_)) => {
                    existed = candidate.replaced > 0;
                    Err(error)
                }
                Err(error) => Err(error),
            }
            .map_err(|error| {
                self.note(&error);
                RestoreError::Create(error)
            }),
        };
        let Candidate { line, saved, .. } = candidate;
        results.push(Restored { line, flow: Some(saved), existed, result: verdict });
        None
    }

    /// Gives an entry that is as it was saved the time that it had left.
    fn renew(&mut self, candidate: &Candidate) -> Result<()> {
        let update = Flow { timeout: candidate.request.timeout, ..candidate.saved.identity() };
        match self.handle.update(&update) {
            Err(Error::FixedTimeout(_)) => Ok(()),
            renewed => renewed,
        }
    }
}

/// Whether an entry that was there is as the flow was saved.
fn is_alike(candidate: &Candidate, found: &Flow) -> bool {
    differences(&candidate.saved, found).is_empty()
}
