//! Lines of a save, none of them longer than it may be.

use std::io::{self, BufRead, Read};

use super::{End, Footer, Header, RestoreError};
use crate::model::flow::Flow;

/// The longest line that is taken, in bytes. A flow takes a few hundred. Only the security context has
/// no small bound: 4 KiB, which the escapes of JSON can make six times as long.
const LONGEST_LINE: usize = 64 << 10;

/// The part that comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Header,
    Flows,
    /// Nothing but the end of the file.
    Nothing,
    /// Nothing that would be read.
    Over,
}

/// The flows of a save with the numbers of their lines, from 1 on.
#[derive(Debug)]
pub(super) struct Lines<R> {
    input: R,
    line: Vec<u8>,
    number: u64,
    next: Next,
}

/// A line that was read.
enum Line {
    Text,
    TooLong,
    EndOfFile,
}

impl<R: BufRead> Lines<R> {
    pub(super) const fn new(input: R) -> Self {
        Self { input, line: Vec::new(), number: 0, next: Next::Header }
    }

    /// Nothing more is to be read.
    pub(super) fn stop(&mut self) {
        self.next = Next::Over;
    }

    /// Reads a line, at most as much as may be in memory at once; of a longer one it finds the end.
    fn read(&mut self) -> io::Result<Line> {
        self.line.clear();
        self.number += 1;
        let longest = LONGEST_LINE as u64 + 1;
        let read = self.input.by_ref().take(longest).read_until(b'\n', &mut self.line)?;
        if read <= LONGEST_LINE || self.line.ends_with(b"\n") {
            // Where an error is, is counted from the last newline.
            self.line.truncate(self.line.trim_ascii_end().len());
            return Ok(if read == 0 { Line::EndOfFile } else { Line::Text });
        }
        loop {
            self.line.clear();
            let read = self.input.by_ref().take(longest).read_until(b'\n', &mut self.line)?;
            if read == 0 || self.line.ends_with(b"\n") {
                return Ok(Line::TooLong);
            }
        }
    }

    fn fail(&mut self, error: RestoreError) -> Option<Result<Flow, RestoreError>> {
        self.next = Next::Over;
        Some(Err(error))
    }

    fn header(&mut self) -> Option<Result<Flow, RestoreError>> {
        match serde_json::from_slice::<Header>(&self.line) {
            Ok(header) if header.format != Header::FORMAT => self.fail(RestoreError::NotASave),
            Ok(header) if header.version != Header::VERSION => {
                self.fail(RestoreError::UnknownVersion(header.version))
            }
            Ok(_) => {
                self.next = Next::Flows;
                None
            }
            Err(_) => self.fail(RestoreError::NotASave),
        }
    }

    fn flow(&mut self) -> Option<Result<Flow, RestoreError>> {
        let error = match serde_json::from_slice(&self.line) {
            Ok(flow) => return Some(Ok(flow)),
            Err(error) => error,
        };
        if let Ok(Footer { end }) = serde_json::from_slice(&self.line) {
            self.next = Next::Nothing;
            return (end == End::Incomplete).then_some(Err(RestoreError::Incomplete));
        }
        let (line, column) = (error.line(), error.column());
        let reason = error.to_string();
        let place = format!(" at line {line} column {column}");
        let reason = reason.strip_suffix(&place).unwrap_or(&reason);
        Some(Err(RestoreError::NotAFlow { column, reason: printable(reason) }))
    }

    /// The item that the line is, if any.
    fn take(&mut self, line: io::Result<Line>) -> Option<Result<Flow, RestoreError>> {
        match (line, self.next) {
            (Err(error), _) => self.fail(RestoreError::Read(error)),
            (Ok(Line::Text), _) if self.line.trim_ascii().is_empty() => None,
            (Ok(Line::Text), Next::Header) => self.header(),
            (Ok(Line::Text), Next::Flows) => self.flow(),
            (Ok(Line::TooLong), Next::Flows) => Some(Err(RestoreError::LineTooLong)),
            (Ok(Line::TooLong | Line::EndOfFile), Next::Header) => self.fail(RestoreError::NotASave),
            (Ok(Line::EndOfFile), Next::Flows) => self.fail(RestoreError::CutOff),
            (Ok(Line::EndOfFile) | Ok(_), Next::Over) | (Ok(Line::EndOfFile), Next::Nothing) => {
                self.stop();
                None
            }
            (Ok(Line::Text | Line::TooLong), Next::Nothing) => self.fail(RestoreError::AfterEnd),
        }
    }
}

/// Text without control characters. A reason has names out of the save, and is written to terminals.
fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter.is_control() {
            true => printable.extend(letter.escape_default()),
            false => printable.push(letter),
        }
    }
    printable
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = (u64, Result<Flow, RestoreError>);

    fn next(&mut self) -> Option<Self::Item> {
        while self.next != Next::Over {
            let line = self.read();
            if let Some(taken) = self.take(line) {
                return Some((self.number, taken));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "{\"format\":\"netfilter-conntrack flows\",\"version\":1}\n";
    const END: &str = "{\"end\":\"complete\"}\n";
    const FLOW: &str = "{\"original\":{\"src\":\"10.0.0.1\",\"dst\":\"10.0.0.2\",\"protocol\":\"50\"},\
        \"reply\":{\"src\":\"10.0.0.2\",\"dst\":\"10.0.0.1\",\"protocol\":\"50\"},\"zone\":0}\n";

    /// The items in this text: the line, and the error or `flow`.
    fn read(text: &[u8]) -> Vec<(u64, String)> {
        // Small buffers, so that lines come in pieces.
        let lines = Lines::new(io::BufReader::with_capacity(7, text));
        let word = |item: Result<Flow, _>| {
            item.map_or_else(|error: RestoreError| error.to_string(), |_| "flow".into())
        };
        lines.map(|(line, item)| (line, word(item))).collect()
    }

    fn words(text: &str) -> Vec<(u64, String)> {
        read(text.as_bytes())
    }

    fn is(found: Vec<(u64, String)>, expected: &[(u64, &str)]) {
        let found: Vec<(u64, &str)> = found.iter().map(|(line, word)| (*line, word.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_save_begins_and_ends_as_one() {
        is(words(&[HEADER, FLOW, "\n", FLOW, END, "\n \n"].concat()), &[(2, "flow"), (4, "flow")]);
        is(words(&[HEADER, END.trim_end()].concat()), &[]);
        for none in ["", "\n\n", FLOW, END, "hello\n", "\u{0}", "{\"format\":\"x\",\"version\":1}"] {
            let found = words(none);
            assert_eq!(found.last().map(|(_, word)| word.as_str()), Some("not a save of flows"), "{none}");
            assert_eq!(found.len(), 1);
        }
        let newer = HEADER.replace(":1}", ":2,\"more\":[]}");
        is(words(&[&newer, FLOW].concat()), &[(1, "a save of version 2, which is not known here")]);
        let incomplete = END.replace("complete", "incomplete");
        is(words(&[HEADER, &incomplete].concat()), &[(2, "the save itself is incomplete")]);
        is(words(&[HEADER, FLOW].concat()), &[(2, "flow"), (3, "the save is cut off")]);
        let twice = [HEADER, FLOW, END, HEADER, FLOW, END].concat();
        is(words(&twice), &[(2, "flow"), (4, "something comes after the end of the save")]);
    }

    #[test]
    fn a_bad_line_says_where_it_is_bad_and_the_next_is_read() {
        let cut = &FLOW[..40];
        let bad = FLOW.replace("\"zone\":0", "\"zonne\":0");
        let found = words(&[HEADER, cut, "\n", &bad, FLOW, END].concat());
        is(
            found
                .iter()
                .map(|(line, word)| (*line, word.split(", expected").next().unwrap().into()))
                .collect(),
            &[
                (2, "not a flow, at column 40: EOF while parsing a string"),
                (3, "not a flow, at column 131: unknown field `zonne`"),
                (4, "flow"),
            ],
        );
        // The column of the byte, or of the one after it: releases of serde_json differ.
        let found =
            read(&[HEADER.as_bytes(), b"{\"original\":{\"src\":\"\xff\"}}\n", END.as_bytes()].concat());
        let words = [21, 22].map(|at| format!("not a flow, at column {at}: invalid unicode code point"));
        assert!(matches!(&found[..], [(2, word)] if words.contains(word)), "{found:?}");
    }

    #[test]
    fn what_a_bad_line_contains_does_no_harm_to_a_terminal() {
        let bad = FLOW.replace("zone", "\\u001b[2J\\u0000zone\\u202e");
        let found = words(&[HEADER, &bad, END].concat());
        let [(2, word)] = &found[..] else { panic!("{found:?}") };
        assert!(word.contains("unknown field `\\u{1b}[2J\\u{0}zone"), "{word}");
        assert!(!word.contains(char::is_control), "{word:?}");
    }

    /// Numbers, text and nesting as no writer of saves would have them.
    #[test]
    fn whatever_is_in_a_line_it_is_a_flow_or_a_bad_line() {
        for zone in [
            "-1",
            "-0",
            "1.0",
            "1e3",
            "1e999",
            "00",
            "99999999999999999999999999",
            "\"0\"",
            "\"\\ud800\"",
            "[0]",
            "{\"zone\":0}",
            "null",
            "true",
            "0,\"zone\":0",
            "0}{",
            "\u{0}0",
            "NaN",
        ] {
            let bad = FLOW.replace("\"zone\":0", &format!("\"zone\":{zone}"));
            let found = words(&[HEADER, &bad, FLOW, END].concat());
            let [(2, bad), (3, good)] = &found[..] else { panic!("{zone}: {found:?}") };
            assert!(bad.starts_with("not a flow, at column ") && good == "flow", "{zone}: {bad}");
        }
    }

    #[test]
    fn the_first_line_alone_may_have_more() {
        let noted = HEADER.replace('}', ",\"host\":\"gateway-7\"}");
        is(words(&[&noted, FLOW, END].concat()), &[(2, "flow")]);
        let found = words(&[HEADER, &END.replace('}', ",\"flows\":0}")].concat());
        assert!(found[0].1.starts_with("not a flow") && found[1].1 == "the save is cut off", "{found:?}");
        for none in [":-1}", ":1.5}", ":99999999999999999999}", ":\"1\"}", ":1,\"version\":1}"] {
            is(words(&[&HEADER.replace(":1}", none), FLOW, END].concat()), &[(1, "not a save of flows")]);
        }
    }

    #[test]
    fn a_line_that_does_not_end_takes_no_memory() {
        let long = "x".repeat(10 * LONGEST_LINE);
        let mut lines = Lines::new(io::Cursor::new([HEADER, &long, "\n", FLOW, &long].concat()));
        assert!(matches!(lines.next(), Some((2, Err(RestoreError::LineTooLong)))));
        assert!(matches!(lines.next(), Some((3, Ok(_)))));
        assert!(matches!(lines.next(), Some((4, Err(RestoreError::LineTooLong)))));
        assert!(matches!(lines.next(), Some((5, Err(RestoreError::CutOff)))));
        assert!(lines.next().is_none());
        assert!(lines.line.capacity() <= 4 * LONGEST_LINE, "{}", lines.line.capacity());
        is(words(&long), &[(1, "not a save of flows")]);
    }

    /// As deep as a parser that recurses would fall.
    #[test]
    fn nesting_without_end_is_a_bad_line() {
        let deep = "[".repeat(LONGEST_LINE - 1);
        let inside = FLOW.replace("\"zone\":0", &format!("\"zone\":{}", &deep[..50_000]));
        let found = words(&[HEADER, &deep, "\n", &inside, END].concat());
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|(_, word)| word.starts_with("not a flow")), "{found:?}");
    }

    #[test]
    fn a_reader_that_fails_is_told_and_not_read_on() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::ConnectionReset.into())
            }
        }
        let text = [HEADER, FLOW].concat();
        let lines = Lines::new(io::BufReader::new(text.as_bytes().chain(Broken)));
        let found: Vec<_> = lines.map(|(_, item)| item).collect();
        assert!(matches!(found[..], [Ok(_), Err(RestoreError::Read(_))]), "{found:?}");
    }
}
