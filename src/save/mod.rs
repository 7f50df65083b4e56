//! Tables saved as JSON Lines, and restored.

mod compare;
mod error;
mod existing;
mod read;
mod restore;

use std::io::{self, BufWriter, Write};

use serde::{Deserialize, Serialize};

pub use error::{RestoreError, SaveError};
pub use existing::Existing;
pub use restore::{Restore, Restored};

use crate::error::{Error, Result};
use crate::handle::Dump;
use crate::model::flow::Flow;

/// The first line of a save. Later versions may add fields.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    format: String,
    version: u64,
}

impl Header {
    const FORMAT: &str = "netfilter-conntrack flows";
    const VERSION: u64 = 1;
}

/// The last line of a save.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Footer {
    end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum End {
    Complete,
    Incomplete,
}

/// The result of a save.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[must_use = "entries may be missing"]
#[non_exhaustive]
pub struct Saved {
    /// Flows written.
    pub flows: u64,
    /// Entries that could not be understood, and are not in the save.
    pub malformed: u64,
    /// The table changed so much during the listing that entries may be missing or doubled
    /// ([`Error::Interrupted`]).
    pub interrupted: bool,
}

impl Saved {
    /// Whether every entry is in the save. Its last line has the same information.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.malformed == 0 && !self.interrupted
    }
}

impl Dump<'_> {
    /// Runs the dump and writes it for [`Handle::restore`](crate::Handle::restore): a line of JSON for each
    /// flow, with everything that the kernel reports of it, between a header and a line that marks the save
    /// as complete or not. The module [`json`](crate::json#saves) describes the format. Needs the feature
    /// `save`.
    ///
    /// Memory is constant in the size of the table. Writes are buffered, and flushed at the end. The table
    /// goes on changing while you save it. Expectations are not part of it.
    ///
    /// ```no_run
    /// use netfilter_conntrack::Handle;
    /// use std::fs::File;
    ///
    /// let saved = Handle::open()?.dump().zone(10).save(File::create("zone10.ndjson")?)?;
    /// println!("{} flows; complete: {}", saved.flows, saved.is_complete());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`SaveError::Dump`] with an error of the [dump](crate::handle::Entries), except [`Error::Interrupted`]
    /// and [`Error::Malformed`], which are in [`Saved`]; [`SaveError::Write`]. The save then has no last
    /// line, and restoring it ends in [`RestoreError::CutOff`].
    pub fn save(self, writer: impl Write) -> Result<Saved, SaveError> {
        write(self.entries()?, writer)
    }
}

fn write(entries: impl Iterator<Item = Result<Flow>>, writer: impl Write) -> Result<Saved, SaveError> {
    let mut writer = BufWriter::new(writer);
    let cannot = SaveError::Write;
    write_line(&mut writer, &Header { format: Header::FORMAT.to_owned(), version: Header::VERSION })
        .map_err(cannot)?;
    let mut saved = Saved::default();
    for entry in entries {
        match entry {
            Ok(flow) => {
                write_line(&mut writer, &flow).map_err(cannot)?;
                saved.flows += 1;
            }
            Err(Error::Malformed { .. }) => saved.malformed += 1,
            Err(Error::Interrupted(_)) => saved.interrupted = true,
            Err(error) => return Err(error.into()),
        }
    }
    let end = if saved.is_complete() { End::Complete } else { End::Incomplete };
    write_line(&mut writer, &Footer { end }).map_err(cannot)?;
    writer.flush().map_err(cannot)?;
    Ok(saved)
}

fn write_line(writer: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *writer, line)?;
    writer.write_all(b"\n")
}

/// For `./dev fuzz`: the numbers and flows of lines.
#[cfg(nfct_fuzz)]
pub(crate) fn lines(text: &[u8]) -> Vec<(u64, Result<Flow, RestoreError>)> {
    read::Lines::new(text).collect()
}

/// For `./dev fuzz`: the lines of flows.
#[cfg(nfct_fuzz)]
pub(crate) fn written(flows: &[Flow]) -> Vec<u8> {
    let mut text = Vec::new();
    let saved = write(flows.iter().cloned().map(Ok), &mut text);
    assert!(saved.is_ok_and(|saved| saved.is_complete()));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tuple;
    use crate::error::{Failure, Operation, Subject};
    use crate::netlink::attr::Malformed;

    fn flow() -> Flow {
        Flow::new(Tuple::udp("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap()).unwrap())
    }

    fn failure() -> Failure {
        Failure::new(Operation::Dump, Subject::Table(None))
    }

    /// The lines that are written for these entries, and the result.
    fn written(entries: Vec<Result<Flow>>) -> (Vec<String>, Result<Saved, SaveError>) {
        let mut text = Vec::new();
        let saved = write(entries.into_iter(), &mut text);
        (String::from_utf8(text).expect("text").lines().map(str::to_owned).collect(), saved)
    }

    #[test]
    fn a_save_says_whether_it_is_complete() {
        let (lines, saved) = written(vec![Ok(flow()), Ok(flow())]);
        let saved = saved.expect("saved");
        assert_eq!((saved, saved.is_complete()), (Saved { flows: 2, ..Saved::default() }, true));
        assert_eq!(lines.first().unwrap(), "{\"format\":\"netfilter-conntrack flows\",\"version\":1}");
        assert_eq!(lines[1], serde_json::to_string(&flow()).unwrap());
        assert_eq!(lines.last().unwrap(), "{\"end\":\"complete\"}");

        let malformed = Malformed::new("CTA_TUPLE_ORIG", "missing");
        let unreadable = Error::Malformed { failure: failure(), malformed };
        for (error, expected) in [
            (unreadable, Saved { flows: 1, malformed: 1, interrupted: false }),
            (Error::Interrupted(failure()), Saved { flows: 1, malformed: 0, interrupted: true }),
        ] {
            let (lines, saved) = written(vec![Ok(flow()), Err(error)]);
            let saved = saved.expect("saved");
            assert_eq!((saved, saved.is_complete()), (expected, false));
            assert_eq!(lines.last().unwrap(), "{\"end\":\"incomplete\"}");
        }
    }

    /// The text of an error has its cause in it, as everywhere in the crate; so the cause is no source, or
    /// a program that prints the chain would print it twice.
    #[test]
    fn errors_say_their_cause_once() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let gone = || Error::NotFound(failure());
        let errors: [Box<dyn std::error::Error>; 6] = [
            Box::new(SaveError::Write(full())),
            Box::new(SaveError::Dump(gone())),
            Box::new(RestoreError::Read(full())),
            Box::new(RestoreError::Create(gone())),
            Box::new(RestoreError::Unverified(gone())),
            Box::new(RestoreError::Differs(vec!["mark", "labels"])),
        ];
        let causes = [full().to_string(), gone().to_string(), full().to_string(), gone().to_string()];
        for (error, cause) in errors.iter().zip(causes.iter().chain([&causes[1], &"mark, labels".into()])) {
            assert!(error.to_string().ends_with(cause), "{error}");
            assert!(error.source().is_none(), "{error:?}");
        }
    }

    #[test]
    fn errors_go_into_the_standard_librarys() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        for (error, kind) in [
            (io::Error::from(SaveError::Write(full())), io::ErrorKind::StorageFull),
            (SaveError::Dump(Error::NotFound(failure())).into(), io::ErrorKind::NotFound),
            (RestoreError::Read(full()).into(), io::ErrorKind::StorageFull),
            (RestoreError::Gone.into(), io::ErrorKind::NotFound),
            (RestoreError::CutOff.into(), io::ErrorKind::UnexpectedEof),
        ] {
            assert_eq!(error.kind(), kind, "{error}");
        }
    }

    #[test]
    fn a_listing_that_fails_leaves_a_save_that_is_cut_off() {
        let (lines, saved) = written(vec![Ok(flow()), Err(Error::TimedOut(failure())), Ok(flow())]);
        assert!(matches!(saved, Err(SaveError::Dump(Error::TimedOut(_)))));
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn the_page_shows_a_save_as_it_is_written() {
        let page = include_str!("../../docs/json.md");
        let shown = page.split("```json\n").find(|block| block.starts_with("{\"format\"")).expect("a save");
        let shown: Vec<&str> = shown.split("\n```").next().expect("an end").lines().collect();
        let flow = serde_json::from_str(shown[1]).expect("a flow");
        assert_eq!(written(vec![Ok(flow)]).0, shown);
    }
}
