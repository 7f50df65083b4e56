//! The two doors to the table that the demonstration compares: `Handle` and the C library.

use std::error::Error;
use std::ops::RangeInclusive;

use netfilter_conntrack::{Error as NfctError, Flow, Handle, Selector};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// A way to read and change the table.
pub(crate) trait Door {
    fn name(&self) -> &'static str;
    fn unused_zone(&mut self, among: RangeInclusive<u16>) -> Result<u16>;
    fn create(&mut self, flow: &Flow) -> Result<()>;
    /// Deletes an entry; returns `false` if it is already gone.
    fn delete(&mut self, flow: &Flow) -> Result<bool>;
    /// Deletes every entry of a zone, and returns their number.
    fn empty(&mut self, zone: u16) -> Result<u64>;
    fn list(&mut self, zone: u16) -> Result<Vec<Flow>>;
}

impl Door for Handle {
    fn name(&self) -> &'static str {
        "Handle"
    }

    fn unused_zone(&mut self, among: RangeInclusive<u16>) -> Result<u16> {
        Ok(self.find_unused_zone(among)?)
    }

    fn create(&mut self, flow: &Flow) -> Result<()> {
        Ok(Handle::create(self, flow)?)
    }

    fn delete(&mut self, flow: &Flow) -> Result<bool> {
        found(Handle::delete(self, flow))
    }

    fn empty(&mut self, zone: u16) -> Result<u64> {
        let outcome = self.delete_matching(Selector::zone(zone)).run()?;
        if outcome.is_complete() { Ok(outcome.done) } else { Err(format!("{outcome:?}").into()) }
    }

    fn list(&mut self, zone: u16) -> Result<Vec<Flow>> {
        Ok(self.dump().zone(zone).entries()?.collect::<std::result::Result<_, _>>()?)
    }
}

fn found(deleted: netfilter_conntrack::Result<()>) -> Result<bool> {
    match deleted {
        Ok(()) => Ok(true),
        Err(NfctError::NotFound(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The C library's door, if this program was built with it.
#[cfg(feature = "nfct")]
pub(crate) fn library() -> Result<Option<Box<dyn Door>>> {
    Ok(Some(Box::new(netfilter_conntrack::nfct::Session::open()?)))
}

#[cfg(not(feature = "nfct"))]
pub(crate) fn library() -> Result<Option<Box<dyn Door>>> {
    println!("built without the feature nfct: the half with the C library is left out\n");
    Ok(None)
}

#[cfg(feature = "nfct")]
mod library {
    use std::collections::BTreeSet;
    use std::ops::{ControlFlow, RangeInclusive};

    use netfilter_conntrack::Flow;
    use netfilter_conntrack::nfct::{Conntrack, Session, attr};

    use super::{Door, Result, found};

    impl Door for Session {
        fn name(&self) -> &'static str {
            "libnetfilter_conntrack"
        }

        fn unused_zone(&mut self, among: RangeInclusive<u16>) -> Result<u16> {
            let mut used = BTreeSet::new();
            let _end = self.dump(None, |ct| {
                used.extend([attr::ZONE, attr::ORIG_ZONE, attr::REPL_ZONE].map(|zone| ct.get(zone)));
                ControlFlow::<()>::Continue(())
            })?;
            among.into_iter().find(|zone| !used.contains(&Some(*zone))).ok_or("no zone is unused".into())
        }

        fn create(&mut self, flow: &Flow) -> Result<()> {
            Ok(Session::create(self, &Conntrack::try_from(flow)?)?)
        }

        fn delete(&mut self, flow: &Flow) -> Result<bool> {
            found(self.destroy(&Conntrack::try_from(flow)?))
        }

        /// As in C: list, keep the entries of the zone, delete one by one.
        fn empty(&mut self, zone: u16) -> Result<u64> {
            let mut deleted = 0;
            for ct in in_zone(self, zone)? {
                deleted += u64::from(found(self.destroy(&ct))?);
            }
            Ok(deleted)
        }

        fn list(&mut self, zone: u16) -> Result<Vec<Flow>> {
            Ok(in_zone(self, zone)?.iter().map(Flow::try_from).collect::<std::result::Result<_, _>>()?)
        }
    }

    fn in_zone(session: &mut Session, zone: u16) -> Result<Vec<Conntrack>> {
        let mut found = Vec::new();
        let _end = session.dump(None, |ct| {
            if ct.get(attr::ZONE) == Some(zone) {
                found.push(ct);
            }
            ControlFlow::<()>::Continue(())
        })?;
        Ok(found)
    }
}

/// Lists a zone through both doors and compares every field of every entry.
///
/// Timeouts run down meanwhile, so the C library's must be between those of two dumps.
pub(crate) fn list_alike(
    handle: &mut Handle,
    library: Option<&mut dyn Door>,
    zone: u16,
) -> Result<Vec<Flow>> {
    let by_handle = sorted(handle.list(zone)?);
    let Some(library) = library else { return Ok(by_handle) };
    let by_library = sorted(library.list(zone)?);
    let afterwards = sorted(handle.list(zone)?);
    if [by_library.len(), afterwards.len()] != [by_handle.len(); 2] {
        let counts = (by_handle.len(), by_library.len(), afterwards.len());
        return Err(format!("entries by Handle, by the library and by Handle again: {counts:?}").into());
    }
    for ((first, mut theirs), last) in by_handle.iter().zip(by_library).zip(afterwards) {
        if (last.timeout..=first.timeout).contains(&theirs.timeout) {
            theirs.timeout = first.timeout;
        }
        if *first != theirs {
            return Err(difference(first, &theirs).into());
        }
    }
    Ok(by_handle)
}

fn sorted(mut flows: Vec<Flow>) -> Vec<Flow> {
    flows.sort_by_key(|flow| flow.original.to_string());
    flows
}

/// Returns the difference of two flows: the field, as `Handle` has it and as the C library has it.
fn difference(by_handle: &Flow, by_library: &Flow) -> String {
    let [ours, theirs] = [by_handle, by_library].map(|flow| format!("{flow:#?}"));
    let mut text = format!("{} differs, Handle | C library:", by_handle.key());
    let mut field = "";
    for (ours, theirs) in ours.lines().zip(theirs.lines()) {
        // Fields of the flow itself are indented by four spaces, nested ones by more.
        if let Some(name) = ours.strip_prefix("    ").filter(|rest| !rest.starts_with(' ')) {
            field = name.split(':').next().unwrap_or(name);
        }
        if ours != theirs {
            text += &format!("\n  {field}: {} | {}", ours.trim(), theirs.trim());
        }
    }
    text
}
