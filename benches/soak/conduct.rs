//! The run: starts the jobs, lets them work, and has them checked at each pause.

use std::fs;
use std::io::{IsTerminal, Write, stderr};
use std::thread::sleep;
use std::time::{Duration, Instant};

use netfilter_conntrack::Handle;

use super::crew::Worker;
use super::job::{self, Place};
use super::post::Changes;
use super::{Options, Result, table, world};

/// The time that the jobs work between two pauses.
const ROUND: Duration = Duration::from_secs(4);
/// The memory that a process may have above its first measurement: allocators keep some, which was up to
/// 256 KiB, and copies of the table vary with its size, by 600 KiB.
const ALLOWANCE_KIB: u64 = 1024;
/// The least number of pauses at which memory and descriptors are compared; a slow machine needs a longer
/// run.
const COMPARED: u64 = 3;
/// The interval between progress lines if they cannot be overwritten.
const LOG: Duration = Duration::from_secs(30);

pub(crate) fn soak(options: &Options) -> Result<()> {
    prepare()?;
    eprintln!("{} minutes, seed {}", options.time.as_secs_f64() / 60.0, options.seed);
    let mut run = Run::start(options)?;
    let result = run.until_the_end();
    eprintln!();
    table::print(&run.workers, &run.hostile);
    match &result {
        Ok(()) => println!("\nnothing wrong in {} pauses", run.pauses),
        Err(wrong) => println!("\nWRONG: {wrong}"),
    }
    result
}

/// Fills the common table with the flows that never change.
fn prepare() -> Result<()> {
    // With 1, every flow sends events, even if nobody listened when it was created.
    fs::write("/proc/sys/net/netfilter/nf_conntrack_events", "1")?;
    let mut handle = Handle::open()?;
    let flows = (0..world::BASE_FLOWS).map(|number| world::flow(world::BASE, number));
    handle.create_many(flows).try_for_each(|(_, result)| result)?;
    Ok(())
}

struct Run<'o> {
    options: &'o Options,
    workers: Vec<Worker>,
    /// For each worker, whether it works on the common table.
    common: Vec<bool>,
    hostile: Worker,
    began: Instant,
    pauses: u64,
    compared: u64,
    logged: Option<Instant>,
}

impl<'o> Run<'o> {
    fn start(options: &'o Options) -> Result<Self> {
        let (mut workers, mut common) = (Vec::new(), Vec::new());
        for (number, (name, place)) in job::CREW.iter().enumerate() {
            let seed = options.seed.wrapping_add(number as u64);
            workers.push(Worker::start(name, &[seed.to_string(), number.to_string()])?);
            common.push(*place == Place::Common);
        }
        for worker in &mut workers {
            worker.wait_until_ready()?;
        }
        let mut words = vec![options.seed.to_string()];
        words.extend(workers.iter().map(|worker| worker.id().to_string()));
        let mut hostile = Worker::start(job::HOSTILE, &words)?;
        hostile.wait_until_ready()?;
        Ok(Self {
            options,
            workers,
            common,
            hostile,
            began: Instant::now(),
            pauses: 0,
            compared: 0,
            logged: None,
        })
    }

    fn until_the_end(&mut self) -> Result<()> {
        while self.began.elapsed() < self.options.time || self.compared < COMPARED {
            for worker in self.workers.iter_mut().chain([&mut self.hostile]) {
                worker.say("go")?;
            }
            sleep(ROUND);
            self.pause()?;
            self.show_progress();
        }
        self.workers.iter_mut().try_for_each(Worker::finish)?;
        self.hostile.finish()
    }

    /// Stops everything, has all jobs checked, and compares memory and descriptors. The hostile process stops
    /// last: while it floods the smallest buffers, no mirror gets in step.
    fn pause(&mut self) -> Result<()> {
        for worker in &mut self.workers {
            worker.say("pause")?;
        }
        let mut all = Changes::default();
        for (worker, common) in self.workers.iter_mut().zip(&self.common) {
            let changes = worker.wait_until_paused()?;
            all = if *common { all.plus(changes) } else { all };
        }
        self.hostile.say("pause")?;
        self.hostile.wait_until_paused()?;
        for worker in &mut self.workers {
            worker.say(&format!("check {all}"))?;
        }
        self.workers.iter_mut().try_for_each(Worker::wait_until_checked)?;
        self.pauses += 1;
        let warm = self.pauses > 1 && self.began.elapsed() * 10 >= self.options.time;
        self.compared += u64::from(self.hostile.begin.is_some());
        for worker in self.workers.iter_mut().chain([&mut self.hostile]) {
            compare(worker, warm)?;
        }
        Ok(())
    }

    fn show_progress(&mut self) {
        let tallies = || self.workers.iter().map(|worker| &worker.tally);
        let [now, end] =
            [self.began.elapsed(), self.options.time].map(|time| (time.as_secs() / 60, time.as_secs() % 60));
        let line = format!(
            "{:02}:{:02} of {:02}:{:02}, {} pauses: {} operations, {} events lost and reported, {} forged messages",
            now.0,
            now.1,
            end.0,
            end.1,
            self.pauses,
            tallies().map(|tally| tally.operations).sum::<u64>(),
            tallies().map(|tally| tally.lost).sum::<u64>(),
            self.hostile.tally.operations,
        );
        if stderr().is_terminal() {
            eprint!("\r{line}\x1b[K");
            let _ = stderr().flush();
        } else if self.logged.is_none_or(|logged| logged.elapsed() >= LOG) {
            eprintln!("{line}");
            self.logged = Some(Instant::now());
        }
    }
}

/// Records a process's usage, and compares it with the first one.
fn compare(worker: &mut Worker, warm: bool) -> Result<()> {
    let usage = worker.usage()?;
    let begin = match worker.begin {
        None if warm => worker.begin.insert(usage),
        None => return Ok(()),
        Some(ref mut begin) => begin,
    };
    worker.end = Some(usage);
    if usage.descriptors != begin.descriptors {
        let counts = (begin.descriptors, usage.descriptors);
        return Err(format!("{}: {} descriptors at first, {} now", worker.name, counts.0, counts.1).into());
    }
    if usage.memory_kib > begin.memory_kib + ALLOWANCE_KIB {
        let sizes = (begin.memory_kib, usage.memory_kib);
        return Err(format!("{}: {} KiB of memory at first, {} now", worker.name, sizes.0, sizes.1).into());
    }
    Ok(())
}
