//! Namespaces that go away: no thread is in them any more, and their names are removed. Everything opened in
//! them before keeps working, until the last of it is dropped and all is gone.

use std::fs::{self, File};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use netfilter_conntrack::nfct::Session;
use netfilter_conntrack::{Error, Events, Handle, Mirror, Namespace, Selector};

use super::listen::Counted;
use super::own_namespace;
use crate::Result;
use crate::post::{Changes, Job, Tally};
use crate::world::{self, BUFFERS, Chance, WRITER};

pub(crate) struct Namespaces {
    chance: Chance,
    /// A handle that outlives its namespace's last thread by many turns, and the number of its flows.
    kept: Option<(Handle, u32)>,
    path: PathBuf,
}

impl Namespaces {
    pub(crate) fn open(seed: u64) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("nfct-soak-{}", std::process::id()));
        Ok(Self { chance: Chance::new(seed), kept: None, path })
    }

    /// Creates a namespace without any thread in it.
    fn new_namespace() -> Result<Namespace> {
        let made = thread::spawn(|| -> Result<Namespace, String> {
            own_namespace().map_err(|error| error.to_string())?;
            Namespace::at("/proc/thread-self/ns/net").map_err(|error| error.to_string())
        });
        Ok(made.join().map_err(|_| "a panic")??)
    }

    /// Fills a namespace, watches and counts it, and leaves it.
    fn visit(&mut self, tally: &mut Tally) -> Result<()> {
        let there = Self::new_namespace()?;
        let mut handle = Handle::open_in(&there)?;
        let mut stream = Counted::open_in(*self.chance.one_of(&BUFFERS), &there)?;
        let mut mirror = Mirror::builder().open_in(&there)?;
        let mut session = Session::open_in(&there)?;
        // From here on, only the objects opened in the namespace keep it alive.
        drop(there);
        let flows = 1 + self.chance.below(300);
        let mut changes = Changes::default();
        for (_, result) in handle.create_many((0..flows).map(|number| world::flow(WRITER, number))) {
            result?;
            changes.created += 1;
        }
        let swept = handle.delete_matching(Selector::any_zone().mark(3)).run()?;
        changes.deleted += swept.done;
        let expected = (0..flows).filter(|number| world::mark(*number) == 3).count() as u64;
        if !swept.is_complete() || swept.done != expected {
            return Err(format!("{swept} instead of {expected}").into());
        }
        stream.settle(changes, true, tally)?;
        if !mirror.sync_timeout(Duration::from_secs(10))? {
            return Err("the mirror does not get in step".into());
        }
        let mut listed = 0;
        let _ = session.dump(None, |_| {
            listed += 1;
            std::ops::ControlFlow::<()>::Continue(())
        })?;
        let left = u64::from(flows) - expected;
        let counts = [mirror.len() as u64, listed, u64::from(handle.usage()?.entries)];
        if counts != [left; 3] {
            return Err(format!("mirrored, listed, counted {counts:?} instead of {left}").into());
        }
        tally.operations += u64::from(flows) + 4;
        self.keep(handle, u32::try_from(left)?)
    }

    /// Keeps one of the handles for a while, and checks the one that was kept.
    fn keep(&mut self, handle: Handle, flows: u32) -> Result<()> {
        if let Some((kept, expected)) = &mut self.kept {
            let entries = kept.dump().entries()?.count() as u32;
            if entries != *expected {
                return Err(
                    format!("{entries} flows in a namespace left behind, instead of {expected}").into()
                );
            }
        }
        if self.kept.is_none() || self.chance.below(10) == 0 {
            self.kept = Some((handle, flows));
        }
        Ok(())
    }

    /// Opens a name after its removal, and a file that is not a namespace.
    fn name(&mut self, tally: &mut Tally) -> Result<()> {
        File::create(&self.path)?;
        let wrong = Namespace::at(&self.path).and_then(|file| Handle::open_in(&file));
        fs::remove_file(&self.path)?;
        let gone = Namespace::at(&self.path).map(drop);
        for error in [wrong.err(), gone.err()] {
            match error {
                Some(error @ (Error::NotFound(_) | Error::Refused(_))) => tally.error(error.kind()),
                other => return Err(format!("a namespace that is none: {other:?}").into()),
            }
        }
        tally.operations += 2;
        Ok(())
    }
}

impl Counted {
    fn open_in(buffer: usize, namespace: &Namespace) -> Result<Self> {
        Ok(Self::over(Events::builder().receive_buffer(buffer).open_in(namespace)?, Changes::default()))
    }
}

impl Job for Namespaces {
    fn turn(&mut self, tally: &mut Tally) -> Result<()> {
        self.visit(tally)?;
        self.name(tally)?;
        // The kernel takes longer to clean up a namespace than to make one.
        thread::sleep(Duration::from_millis(20));
        Ok(())
    }

    fn check(&mut self, _: Changes, _: &mut Tally) -> Result<()> {
        self.kept = None;
        Ok(())
    }
}
