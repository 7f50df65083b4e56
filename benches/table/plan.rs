//! The list of measurements.

use super::peer::{self, Peer};
use super::{Result, flows, job};

/// The most flows created and deleted: enough for a steady rate.
const CHANGES: u32 = 200_000;

pub(crate) const IDLE: &str = "idle handle";
pub(crate) const RECEIVE: &str = "dump: receive only";
pub(crate) const C_DUMP: &str = "dump: C nfct_query, 15 getters";
pub(crate) const CONNTRACK_LIST: &str = "dump: conntrack -L";
pub(crate) const NLINK_DUMP: &str = "dump: nlink, stream";
pub(crate) const BINDINGS_DUMP: &str = "dump: netlink-bindings, iterator";
pub(crate) const DUMP: &str = "dump: entries()";
pub(crate) const LIST: &str = "dump: entries(), text()";
pub(crate) const RECEIVE_ZONE: &str = "zone of 1 %: receive only";
pub(crate) const C_ZONE: &str = "zone of 1 %: C nfct_query, all read";
pub(crate) const ZONE: &str = "zone of 1 %: dump().zone()";
pub(crate) const C_CREATE: &str = "create: C nfct_query";
pub(crate) const NLINK_CREATE: &str = "create: nlink";
pub(crate) const CREATE: &str = "create: create()";
pub(crate) const CREATE_MANY: &str = "create: create_many()";
pub(crate) const C_DELETE: &str = "delete: C nfct_query";
pub(crate) const DELETE_MANY: &str = "delete: delete_many()";
pub(crate) const CONNTRACK_ZONE: &str = "empty a zone of 1/5: conntrack -D -w";
pub(crate) const EMPTY_ZONE: &str = "empty a zone of 1/5: delete_matching()";
pub(crate) const FLUSH_ZONE: &str = "empty a zone of 1/5: flush_matching()";
pub(crate) const DELETE_MATCHING: &str = "3,000 selectors: delete_matching()";
pub(crate) const SAVE: &str = "save: dump().save()";
pub(crate) const RESTORE: &str = "restore: restore(), read back";
pub(crate) const MIRROR: &str = "mirror: Mirror::open()";
pub(crate) const LOOK_UP: &str = "mirror: get_by_original()";
pub(crate) const LOOK_UP_REPLY: &str = "mirror: get_by_reply()";
pub(crate) const RECEIVE_EVENTS: &str = "events: receive only";
pub(crate) const C_EVENTS: &str = "events: C nfct_catch, 15 getters";
pub(crate) const EVENTS: &str = "events: Events";
pub(crate) const MATCHING: &str = "events: Events, 1 % match, 64 KiB";
pub(crate) const NFCT_DUMP: &str = "dump: nfct, 15 getters";
pub(crate) const NFCT_CREATE: &str = "create: nfct";
pub(crate) const NFCT_DELETE: &str = "delete: nfct";
pub(crate) const NFCT_EVENTS: &str = "events: nfct, 15 getters";

/// The suffix for the jobs of another build of this crate.
pub(crate) const BEFORE: &str = ", before";

/// One measured job.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) program: Program,
    /// The number of entries that it must reach.
    pub(crate) entries: u64,
    /// A job of this program that restores the common table.
    pub(crate) after: Option<String>,
}

impl Row {
    /// The kind of job, the same for all programs.
    pub(crate) fn kind(&self) -> &str {
        self.name.split(':').next().unwrap_or(&self.name)
    }
}

pub(crate) enum Program {
    /// A command that prints its own numbers.
    Reporting(Vec<String>),
    /// The same for another build of this crate, which may not have this job.
    Before(Vec<String>),
    /// conntrack(8) with these arguments.
    Conntrack(Vec<String>),
    /// The reason why there is none.
    Missing(String),
}

/// All measurements.
pub(crate) struct Plan {
    /// Jobs with a table each, in a namespace of their own, before the common table exists.
    pub(crate) own_tables: Vec<Row>,
    /// Jobs on the table of this process's namespace, which has all the entries.
    pub(crate) one_table: Vec<Row>,
}

impl Plan {
    /// Plans jobs for this many entries, those of this crate also with another build of this program.
    pub(crate) fn new(entries: u32, before: Option<String>) -> Result<Self> {
        let programs = Programs {
            before,
            own: peer::own()?,
            c: peer::c_library()?,
            conntrack: peer::conntrack(),
            rivals: peer::rivals(),
        };
        Ok(Self {
            own_tables: programs.with_before(programs.own_tables(entries.min(CHANGES))),
            one_table: programs.with_before(programs.one_table(entries)),
        })
    }
}

struct Programs {
    own: String,
    before: Option<String>,
    c: String,
    conntrack: Peer,
    rivals: Peer,
}

impl Programs {
    fn own_tables(&self, count: u32) -> Vec<Row> {
        let entries = u64::from(count);
        let ours = |name, job: &str| row(name, elsewhere(&self.ours(&format!("{job} {count}"))), entries);
        let c =
            |name, job: &str| row(name, elsewhere(&[self.c.clone(), job.into(), count.to_string()]), entries);
        let events = |row: Row| Row { entries: 2 * entries, ..row };
        let mut c_events = vec![self.c.clone(), "events".to_owned(), count.to_string()];
        c_events.extend(self.ours(&format!("churn {count}")));
        vec![
            row(IDLE, Program::Reporting(self.ours("idle")), 0),
            c(C_CREATE, "create"),
            row(NLINK_CREATE, self.rival(&format!("nlink-create {count}"), elsewhere), entries),
            ours(NFCT_CREATE, "nfct-create"),
            ours(CREATE, "create"),
            ours(CREATE_MANY, "create-many"),
            c(C_DELETE, "delete"),
            ours(NFCT_DELETE, "nfct-delete"),
            ours(DELETE_MANY, "delete-many"),
            events(ours(RECEIVE_EVENTS, "receive-events")),
            row(C_EVENTS, elsewhere(&c_events), 2 * entries),
            events(ours(NFCT_EVENTS, "nfct-events")),
            events(ours(EVENTS, "events")),
            events(ours(MATCHING, "events-matching")),
        ]
    }

    fn one_table(&self, entries: u32) -> Vec<Row> {
        let all = u64::from(entries);
        let (zone, large) = (flows::ZONE, flows::LARGE_ZONE);
        let in_zone = |zone| flows::in_zone(zone, entries).count() as u64;
        let ours = |name, job: &str, entries| row(name, Program::Reporting(self.ours(job)), entries);
        let c = |name, job: &str, entries| row(name, Program::Reporting(words(&self.c, job)), entries);
        let rival = |name, job| row(name, self.rival(job, here), all);
        let refilled = |row: Row, job: &str| Row { after: Some(format!("{job} {entries}")), ..row };
        vec![
            ours(RECEIVE, "receive", all),
            c(C_DUMP, "dump", all),
            ours(NFCT_DUMP, "nfct-dump", all),
            row(CONNTRACK_LIST, self.conntrack("-L"), all),
            rival(NLINK_DUMP, "nlink-dump"),
            rival(BINDINGS_DUMP, "bindings-dump"),
            ours(DUMP, "dump", all),
            ours(LIST, "list", all),
            ours(RECEIVE_ZONE, &format!("receive {zone}"), in_zone(zone)),
            c(C_ZONE, &format!("dump-zone {zone}"), in_zone(zone)),
            ours(ZONE, &format!("dump {zone}"), in_zone(zone)),
            refilled(ours(DELETE_MATCHING, &format!("delete-matching {entries}"), all), "refill-hosts"),
            refilled(
                row(CONNTRACK_ZONE, self.conntrack(&format!("-D -w {large}")), in_zone(large)),
                "refill-zone",
            ),
            refilled(ours(EMPTY_ZONE, "empty-zone", in_zone(large)), "refill-zone"),
            refilled(ours(FLUSH_ZONE, &format!("flush-zone {entries}"), in_zone(large)), "refill-zone"),
            ours(SAVE, "save", all),
            ours(RESTORE, &format!("restore {entries}"), all),
            ours(MIRROR, "mirror", all),
            ours(LOOK_UP, "look-up", all),
            ours(LOOK_UP_REPLY, "look-up-reply", all),
        ]
    }

    /// Returns the rows, each job of this program followed by the same one of the other build.
    fn with_before(&self, rows: Vec<Row>) -> Vec<Row> {
        rows.into_iter().flat_map(|row| [self.before(&row), Some(row)].into_iter().rev().flatten()).collect()
    }

    fn before(&self, row: &Row) -> Option<Row> {
        let (before, Program::Reporting(command)) = (self.before.as_ref()?, &row.program) else {
            return None;
        };
        // If a peer's command contains our writer, the peer comes before it.
        let at = command.iter().position(|word| *word == self.own)?;
        if command[..at].contains(&self.c) {
            return None;
        }
        let mut command = command.clone();
        command[at].clone_from(before);
        let (name, after) = (format!("{}{BEFORE}", row.name), row.after.clone());
        Some(Row { name, program: Program::Before(command), entries: row.entries, after })
    }

    fn ours(&self, job: &str) -> Vec<String> {
        words(&self.own, &format!("{} {job}", job::FLAG))
    }

    fn conntrack(&self, args: &str) -> Program {
        match &self.conntrack {
            Ok(_) => Program::Conntrack(args.split(' ').map(String::from).collect()),
            Err(why) => Program::Missing(why.clone()),
        }
    }

    fn rival(&self, job: &str, place: fn(&[String]) -> Program) -> Program {
        match &self.rivals {
            Ok(program) => place(&words(program, job)),
            Err(why) => Program::Missing(why.clone()),
        }
    }
}

fn row(name: &str, program: Program, entries: u64) -> Row {
    Row { name: name.to_owned(), program, entries, after: None }
}

/// A command that runs on the common table.
fn here(command: &[String]) -> Program {
    Program::Reporting(command.to_vec())
}

/// A command that runs in a new network namespace.
fn elsewhere(command: &[String]) -> Program {
    Program::Reporting([words("unshare", "--net"), command.to_vec()].concat())
}

fn words(program: &str, args: &str) -> Vec<String> {
    [program].into_iter().chain(args.split(' ')).map(String::from).collect()
}
