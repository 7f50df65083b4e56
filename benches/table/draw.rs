//! Charts of reports: the cost of jobs compared with each other, and cost against the size of the table.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::Result;
use super::plan::*;

/// The flag that makes the program draw; the paths of the picture and of the reports follow.
pub(crate) const FLAG: &str = "--draw";

const WIDTH: f64 = 760.0;
const LEFT: f64 = 250.0;
const RIGHT: f64 = 60.0;
const LINE: f64 = 20.0;
const PLOT_HEIGHT: f64 = 260.0;

/// Groups of compared jobs: a title, the job whose cost is 1, and the others.
const GROUPS: [(&str, &str, &[&str]); 4] = [
    ("list the table", C_DUMP, &[NFCT_DUMP, CONNTRACK_LIST, NLINK_DUMP, BINDINGS_DUMP, DUMP, RECEIVE]),
    ("create one by one, or many", C_CREATE, &[NFCT_CREATE, NLINK_CREATE, CREATE, CREATE_MANY]),
    ("delete one by one, or many", C_DELETE, &[NFCT_DELETE, DELETE_MANY]),
    ("empty a zone", CONNTRACK_ZONE, &[EMPTY_ZONE, FLUSH_ZONE]),
];

/// Jobs whose cost is drawn against the size of the table, each with its color.
const LINES: [(&str, &str); 5] = [
    (CONNTRACK_LIST, "#8c564b"),
    (C_DUMP, "#d62728"),
    (NLINK_DUMP, "#9467bd"),
    (DUMP, "#1f77b4"),
    (RECEIVE, "#7f7f7f"),
];

#[derive(Deserialize)]
struct Report {
    entries: u64,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    name: String,
    #[serde(default)]
    nanos: Vec<f64>,
    #[serde(default)]
    entries: Vec<f64>,
}

impl Report {
    /// Nanoseconds per entry, the median of all rounds.
    fn cost(&self, name: &str) -> Option<f64> {
        let row = self.rows.iter().find(|row| row.name == name)?;
        let mut costs: Vec<f64> =
            row.nanos.iter().zip(&row.entries).map(|(nanos, entries)| nanos / entries.max(1.0)).collect();
        costs.sort_by(f64::total_cmp);
        costs.get(costs.len() / 2).copied()
    }
}

/// Draws the reports in these files: bars for the largest one, and lines for all of them.
pub(crate) fn draw(args: &[String]) -> Result<()> {
    let (picture, files) = args.split_first().ok_or("a path for the picture, and reports")?;
    let mut reports = files
        .iter()
        .map(|file| Ok(serde_json::from_str(&fs::read_to_string(file)?)?))
        .collect::<Result<Vec<Report>>>()?;
    reports.sort_by_key(|report| report.entries);
    let largest = reports.last().ok_or("no report")?;
    let (bars, below) = bars(largest)?;
    let (lines, height) = if reports.len() > 1 { lines(&reports, below)? } else { (String::new(), below) };
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{bars}{lines}</svg>\n"
    );
    Ok(fs::write(Path::new(picture), svg)?)
}

/// Draws a bar for each job, with its time relative to the first of its group. Also returns the lower edge.
fn bars(report: &Report) -> Result<(String, f64)> {
    let mut svg = String::new();
    let mut y = LINE;
    for (title, one, others) in GROUPS {
        let Some(unit) = report.cost(one) else { continue };
        writeln!(
            svg,
            "<text x=\"8\" y=\"{y}\" font-weight=\"bold\">{title}, {} entries: time beside the first</text>",
            grouped(report.entries)
        )?;
        for name in std::iter::once(&one).chain(others) {
            let Some(cost) = report.cost(name) else { continue };
            y += LINE;
            let (label, ratio) = (name.split_once(": ").map_or(*name, |(_, label)| label), cost / unit);
            let length = (ratio / 1.6).min(1.0) * (WIDTH - LEFT - RIGHT);
            let color = if is_ours(name) { "#1f77b4" } else { "#b0b0b0" };
            writeln!(
                svg,
                "<text x=\"{}\" y=\"{y}\" text-anchor=\"end\">{}</text><rect x=\"{LEFT}\" y=\"{}\" \
                 width=\"{length:.1}\" height=\"13\" fill=\"{color}\"/><text x=\"{:.1}\" y=\"{y}\">{ratio:.2}</text>",
                LEFT - 8.0,
                escaped(label),
                y - 11.0,
                LEFT + length + 6.0,
            )?;
        }
        y += LINE * 1.5;
    }
    Ok((svg, y))
}

/// Draws cost per entry against the entries of the table, from `top` down. Also returns the lower edge.
fn lines(reports: &[Report], top: f64) -> Result<(String, f64)> {
    let (left, right, bottom) = (60.0, 250.0, top + LINE + PLOT_HEIGHT);
    let costs = |name| reports.iter().filter_map(move |report| Some((report.entries, report.cost(name)?)));
    let most = LINES.iter().flat_map(|(name, _)| costs(name)).map(|(_, cost)| cost).fold(1000.0, f64::max);
    let ends = [&reports[0], &reports[reports.len() - 1]].map(|report| (report.entries as f64).log10());
    let x = |entries: u64| {
        left + ((entries as f64).log10() - ends[0]) / (ends[1] - ends[0]) * (WIDTH - left - right)
    };
    let y = |cost: f64| bottom - cost / most * PLOT_HEIGHT;
    let mut svg =
        format!("<text x=\"8\" y=\"{top}\" font-weight=\"bold\">list the table: ns an entry</text>\n");
    let step = 1000 * (most / 8000.0).ceil() as u64;
    for value in (0..=most as u64).step_by(step as usize) {
        let at = y(value as f64);
        writeln!(
            svg,
            "<line x1=\"{left}\" y1=\"{at:.1}\" x2=\"{:.1}\" y2=\"{at:.1}\" stroke=\"#e0e0e0\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - right,
            left - 6.0,
            at + 4.0,
            grouped(value),
        )?;
    }
    for report in reports {
        let (at, entries) = (x(report.entries), grouped(report.entries));
        writeln!(
            svg,
            "<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{entries}</text>",
            bottom + 16.0
        )?;
    }
    // From the lowest line up, so that labels that would overlap are moved upwards.
    let mut ends: Vec<_> = LINES
        .iter()
        .filter_map(|(name, color)| Some((reports[reports.len() - 1].cost(name)?, name, color)))
        .collect();
    ends.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut free = f64::INFINITY;
    for (last, name, color) in ends {
        let points = costs(name).map(|(entries, cost)| format!("{:.1},{:.1}", x(entries), y(cost)));
        let at = y(last).min(free - 14.0);
        free = at;
        writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" fill=\"{color}\">{}</text>",
            points.collect::<Vec<_>>().join(" "),
            WIDTH - right + 8.0,
            at + 4.0,
            escaped(name.split_once(": ").map_or(*name, |(_, label)| label)),
        )?;
    }
    Ok((svg, bottom + LINE * 1.5))
}

fn is_ours(name: &str) -> bool {
    [NFCT_DUMP, DUMP, NFCT_CREATE, CREATE, CREATE_MANY, NFCT_DELETE, DELETE_MANY, EMPTY_ZONE, FLUSH_ZONE]
        .contains(&name)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// Formats a number with commas between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
