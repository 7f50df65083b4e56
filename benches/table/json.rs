//! Every sample, for other programs.

use std::fmt::Write;

use super::report::{Measured, Report};
use super::run::Sample;

impl Report {
    /// Returns the report as one JSON object.
    pub(crate) fn json(&self) -> String {
        let facts = self.machine.facts.iter().map(|(name, fact)| format!("{}: {}", text(name), text(fact)));
        let rows = self.rows.iter().map(row);
        format!(
            "{{\n\"entries\": {},\n\"runs\": {},\n\"machine\": {{{}}},\n\"rows\": [\n{}\n]\n}}\n",
            self.entries,
            self.runs,
            facts.collect::<Vec<_>>().join(", "),
            rows.collect::<Vec<_>>().join(",\n"),
        )
    }
}

fn row(row: &Measured) -> String {
    let name = text(&row.name);
    if let Some(why) = &row.missing {
        return format!("{{\"name\": {name}, \"missing\": {}}}", text(why));
    }
    let list = |value: fn(&Sample) -> u64| {
        row.samples.iter().map(|sample| value(sample).to_string()).collect::<Vec<_>>().join(", ")
    };
    format!(
        "{{\"name\": {name}, \"nanos\": [{}], \"cpu_nanos\": [{}], \"entries\": [{}], \"peak_kib\": [{}], \"lost\": [{}]}}",
        list(|sample| sample.nanos),
        list(|sample| sample.cpu_nanos),
        list(|sample| sample.entries),
        list(|sample| sample.peak_kib),
        list(|sample| sample.lost),
    )
}

/// Returns a JSON string.
fn text(text: &str) -> String {
    let mut quoted = String::from('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            char if char < ' ' => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(char));
            }
            char => quoted.push(char),
        }
    }
    quoted + "\""
}
