//! Medians and ratios.

use std::fmt::Write;

/// One run of one job.
pub(crate) struct Sample {
    pub(crate) nanos: u64,
    pub(crate) entries: u64,
    pub(crate) peak_kib: u64,
}

impl Sample {
    fn per_entry(&self) -> f64 {
        self.nanos as f64 / self.entries.max(1) as f64
    }
}

/// All runs of all jobs, in the order they came.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<(&'static str, Vec<Sample>)>,
}

impl Report {
    pub(crate) fn add(&mut self, name: &'static str, sample: Sample) {
        match self.rows.iter_mut().find(|(known, _)| *known == name) {
            Some((_, samples)) => samples.push(sample),
            None => self.rows.push((name, vec![sample])),
        }
    }

    fn median(&self, name: &str) -> f64 {
        let samples = self.rows.iter().find(|(known, _)| *known == name);
        let mut values: Vec<f64> =
            samples.into_iter().flat_map(|(_, all)| all).map(Sample::per_entry).collect();
        values.sort_by(f64::total_cmp);
        match values.len() {
            0 => f64::NAN,
            len => (values[len / 2] + values[(len - 1) / 2]) / 2.0,
        }
    }

    pub(crate) fn print(&self, entries: u32, peers: Vec<(&str, &str)>) {
        println!(
            "\n{entries} entries, medians of {} runs",
            self.rows.first().map_or(0, |(_, all)| all.len())
        );
        println!("{:34} {:>10} {:>12} {:>10}  ratio to peer", "", "ns/entry", "total ms", "peak KiB");
        for (name, samples) in &self.rows {
            let median = self.median(name);
            let count = samples.first().map_or(0, |sample| sample.entries);
            let peak = samples.iter().map(|sample| sample.peak_kib).max().unwrap_or(0);
            let ratio = peers
                .iter()
                .find(|(of, _)| of == name)
                .map_or(String::new(), |(_, peer)| format!("{:.3} × {peer}", median / self.median(peer)));
            println!("{name:34} {median:>10.0} {:>12.1} {peak:>10}  {ratio}", median * count as f64 / 1e6);
        }
    }

    /// Every sample, for other programs.
    pub(crate) fn json(&self) -> String {
        let mut text = String::from("[");
        for (position, (name, samples)) in self.rows.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            let list = |value: fn(&Sample) -> u64| {
                samples.iter().map(|sample| value(sample).to_string()).collect::<Vec<_>>().join(",")
            };
            let _ = write!(
                text,
                "{comma}\n  {{\"name\": {name:?}, \"entries\": {}, \"nanos\": [{}], \"peak_kib\": [{}]}}",
                samples.first().map_or(0, |sample| sample.entries),
                list(|sample| sample.nanos),
                list(|sample| sample.peak_kib),
            );
        }
        text + "\n]\n"
    }
}
