//! A live table of the flows of this machine, like top(1) for processes. It needs `CAP_NET_ADMIN`.
//!
//! ```text
//! cargo run --release -- [--netns NAME|PATH] [--every SECONDS] [CONDITION…]
//! cargo run --release -- tcp port 443 not zone 10
//! ```
//!
//! - [`table`] keeps a [`Mirror`] of the kernel's table and computes rates.
//! - [`filter`] parses conditions into a [`Selector`](netfilter_conntrack::Selector).
//! - [`screen`] draws, and turns keys into commands.

mod filter;
mod screen;
mod table;

use std::env;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use netfilter_conntrack::{Mirror, Namespace};
use ratatui::crossterm::event::{self, Event, KeyEventKind};

use filter::Filter;
use screen::Screen;
use table::Table;

type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

const USAGE: &str = "top [--netns NAME|PATH] [--every SECONDS] [CONDITION…]";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("top: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let Some(options) = Options::from_args()? else {
        println!("{USAGE}\n\nConditions: {}", filter::HELP);
        return Ok(());
    };
    // Opened before the terminal is taken over, so that an error is visible.
    let mut table = Table::new(options.open()?);
    let mut screen = Screen::new(options.filter);
    let mut terminal = ratatui::try_init()?;
    let result = follow(&mut terminal, &mut table, &mut screen, options.every);
    ratatui::restore();
    result
}

/// Draws, waits for a key or the next round, and repeats until the user quits.
fn follow(
    terminal: &mut ratatui::DefaultTerminal,
    table: &mut Table,
    screen: &mut Screen,
    every: Duration,
) -> Result<()> {
    loop {
        let next = Instant::now() + every;
        if !screen.is_paused() {
            table.refresh()?;
        }
        loop {
            terminal.draw(|frame| screen.draw(frame, table))?;
            let left = next.saturating_duration_since(Instant::now());
            if left.is_zero() || !event::poll(left)? {
                break;
            }
            if let Event::Key(key) = event::read()?
                && key.kind != KeyEventKind::Release
                && screen.press(key).is_break()
            {
                return Ok(());
            }
        }
    }
}

struct Options {
    namespace: Option<String>,
    every: Duration,
    filter: Filter,
}

impl Options {
    /// Returns `None` if help was requested.
    fn from_args() -> Result<Option<Self>> {
        let mut args = env::args().skip(1);
        let (mut namespace, mut every, mut conditions) = (None, Duration::from_secs(1), Vec::new());
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value\n{USAGE}"));
            match arg.as_str() {
                "--help" | "-h" => return Ok(None),
                "--netns" => namespace = Some(value()?),
                "--every" => every = seconds(&value()?)?,
                option if option.starts_with('-') => {
                    return Err(format!("no such option: {option}\n{USAGE}").into());
                }
                _ => conditions.push(arg),
            }
        }
        Ok(Some(Self { namespace, every, filter: conditions.join(" ").parse()? }))
    }

    fn open(&self) -> Result<Mirror> {
        let Some(name) = &self.namespace else { return Ok(Mirror::open()?) };
        let namespace = if name.contains('/') { Namespace::at(name)? } else { Namespace::named(name)? };
        Ok(Mirror::builder().open_in(&namespace)?)
    }
}

fn seconds(text: &str) -> Result<Duration> {
    let seconds = text.parse().ok().and_then(|seconds: f64| Duration::try_from_secs_f64(seconds).ok());
    seconds
        .filter(|every| (Duration::from_millis(100)..=Duration::from_secs(3600)).contains(every))
        .ok_or_else(|| format!("{text} is not a number of seconds from 0.1 to 3600").into())
}
