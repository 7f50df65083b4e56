//! Drawing, and the keys.

use std::cmp::Ordering;
use std::net::{IpAddr, SocketAddr};
use std::ops::ControlFlow;
use std::time::Duration;

use netfilter_conntrack::Status;
use ratatui::Frame;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{self, Cell};

use crate::filter::{self, Filter};
use crate::table::{Row, Table, state};

const KEYS: &str = "q quit  s sort  r reverse  / filter  space pause  ↑↓ PgUp PgDn scroll";

/// The columns that rows can be sorted by, in the order of the key `s`.
const COLUMNS: [&str; 6] = ["B/s", "packets/s", "bytes", "packets", "timeout", "flow"];

/// The user's settings.
pub struct Screen {
    filter: Filter,
    /// The filter being edited, and its error.
    editing: Option<(String, Option<String>)>,
    column: usize,
    reversed: bool,
    paused: bool,
    first: usize,
    /// The number of rows on the screen, for the keys that turn pages.
    page: usize,
}

impl Screen {
    pub fn new(filter: Filter) -> Self {
        Self { filter, editing: None, column: 0, reversed: false, paused: false, first: 0, page: 1 }
    }

    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Handles a key; breaks if the program is to end.
    pub fn press(&mut self, key: KeyEvent) -> ControlFlow<()> {
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return ControlFlow::Break(());
        }
        if self.editing.is_some() {
            self.edit(key.code);
            return ControlFlow::Continue(());
        }
        match key.code {
            KeyCode::Char('q') => return ControlFlow::Break(()),
            KeyCode::Char('s') => self.column = (self.column + 1) % COLUMNS.len(),
            KeyCode::Char('r') => self.reversed = !self.reversed,
            KeyCode::Char(' ') => self.paused = !self.paused,
            KeyCode::Char('/') => self.editing = Some((self.filter.to_string(), None)),
            KeyCode::Down => self.first += 1,
            KeyCode::Up => self.first = self.first.saturating_sub(1),
            KeyCode::PageDown => self.first += self.page,
            KeyCode::PageUp => self.first = self.first.saturating_sub(self.page),
            KeyCode::Home => self.first = 0,
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn edit(&mut self, key: KeyCode) {
        let Some((mut text, _)) = self.editing.take() else { return };
        let mut error = None;
        match key {
            KeyCode::Esc => return,
            KeyCode::Enter => match text.parse() {
                Ok(filter) => {
                    (self.filter, self.first) = (filter, 0);
                    return;
                }
                Err(wrong) => error = Some(wrong),
            },
            KeyCode::Backspace => drop(text.pop()),
            KeyCode::Char(character) => text.push(character),
            _ => {}
        }
        self.editing = Some((text, error));
    }

    pub fn draw(&mut self, frame: &mut Frame<'_>, table: &Table) {
        // The conditions take two lines.
        let foot = if self.editing.is_some() { 3 } else { 1 };
        let [head, body, foot] =
            Layout::vertical([Constraint::Length(2), Constraint::Min(2), Constraint::Length(foot)])
                .areas(frame.area());
        let mut rows = table.rows(&self.filter);
        frame.render_widget(widgets::Paragraph::new(self.head(table, rows.len())), head);
        self.page = usize::from(body.height).saturating_sub(1).max(1);
        self.first = self.first.min(rows.len().saturating_sub(1));
        sort(&mut rows, self.column, self.reversed);
        self.draw_rows(frame, body, &rows);
        frame.render_widget(widgets::Paragraph::new(self.foot()).wrap(widgets::Wrap { trim: true }), foot);
    }

    fn head(&self, table: &Table, shown: usize) -> Vec<Line<'static>> {
        let all = &table.summary;
        let mut first =
            format!("{} flows, {shown} shown, +{:.0}/s -{:.0}/s", all.flows, all.created, all.removed);
        if all.has_counters {
            first += &format!(", {} B/s, {} packets/s", short(all.bytes), short(all.packets));
        } else if all.flows > 0 {
            first += ", no counters: net.netfilter.nf_conntrack_acct is 0";
        }
        if all.overruns > 0 {
            first += &format!(", {} overruns", all.overruns);
        }
        if self.paused {
            first += ", PAUSED";
        }
        let order = if self.reversed { "lowest first" } else { "highest first" };
        let filter = match self.filter.to_string() {
            none if none.is_empty() => "all".to_owned(),
            filter => filter,
        };
        vec![
            first.bold().into(),
            format!("filter: {filter}   sorted by {}, {order}", COLUMNS[self.column]).into(),
        ]
    }

    fn draw_rows(&self, frame: &mut Frame<'_>, area: Rect, rows: &[Row]) {
        let widths = [6, 43, 43, 11, 8, 8, 9, 8].map(Constraint::Max);
        let names = ["proto", "from", "to", "state", "left", "B/s", "packets/s", "bytes"];
        let lines = rows.iter().skip(self.first).take(self.page).map(line);
        let table = widgets::Table::new(lines, widths)
            .header(widgets::Row::new(names).style(Style::new().reversed()));
        frame.render_widget(table, area);
    }

    fn foot(&self) -> Vec<Line<'static>> {
        let Some((text, error)) = &self.editing else { return vec![KEYS.dim().into()] };
        let error = error.clone().unwrap_or_default().red();
        vec![Line::from(vec![format!("/{text}▏  ").into(), error]), filter::HELP.dim().into()]
    }
}

fn line(row: &Row) -> widgets::Row<'static> {
    let flow = &row.flow;
    // With NAT, replies come from another server, or go to another address.
    let mark = if flow.reply == flow.original.inverse() { "" } else { " *" };
    let style = match flow.status {
        Some(status) if !status.contains(Status::SEEN_REPLY) => Style::new().yellow(),
        _ => Style::new(),
    };
    widgets::Row::new([
        Cell::from(flow.original.protocol().to_string()),
        Cell::from(end(flow.original.src(), flow.original.ports().map(|ports| ports.src))),
        Cell::from(end(flow.original.dst(), flow.original.ports().map(|ports| ports.dst)) + mark),
        Cell::from(state(flow)),
        Cell::from(row.remaining.map(left).unwrap_or_default()),
        Cell::from(short(row.bytes)),
        Cell::from(short(row.packets)),
        Cell::from(short(row.total.bytes as f64)),
    ])
    .style(style)
}

fn end(address: IpAddr, port: Option<u16>) -> String {
    match port {
        Some(port) => SocketAddr::new(address, port).to_string(),
        None => address.to_string(),
    }
}

fn sort(rows: &mut [Row], column: usize, reversed: bool) {
    let compare = |a: &Row, b: &Row| match column {
        0 => b.bytes.total_cmp(&a.bytes),
        1 => b.packets.total_cmp(&a.packets),
        2 => b.total.bytes.cmp(&a.total.bytes),
        3 => b.total.packets.cmp(&a.total.packets),
        4 => b.remaining.cmp(&a.remaining),
        _ => Ordering::Equal,
    };
    // Flows with the same value keep their places from one round to the next.
    rows.sort_by(|a, b| compare(a, b).then_with(|| a.flow.key().cmp(&b.flow.key())));
    if reversed {
        rows.reverse();
    }
}

fn left(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

/// Formats a number with three digits and a unit of 1000.
fn short(mut number: f64) -> String {
    let mut units = ["", "k", "M", "G", "T", "P", "E"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    while number >= 999.5 {
        number /= 1000.0;
        unit = units.next().unwrap_or(unit);
    }
    let digits = if unit.is_empty() || number >= 99.95 { 0 } else { 1 };
    format!("{number:.digits$}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_a_unit() {
        for (number, text) in [
            (0.0, "0"),
            (999.4, "999"),
            (999.5, "1.0k"),
            (1500.0, "1.5k"),
            (123_456.0, "123k"),
            (999_499_999.0, "999M"),
            (2e18, "2.0E"),
        ] {
            assert_eq!(short(number), text);
        }
    }
}
