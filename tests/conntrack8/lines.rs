//! The lines that conntrack(8) prints, without what changes by itself.

/// Returns the lines about entries, sorted: an XML document also has a head and a root. The reference count
/// differs if a lookup holds a reference.
pub(crate) fn lines(text: &str) -> Vec<String> {
    let is_entry = |line: &&str| !line.is_empty() && (!line.starts_with('<') || line.starts_with("<flow"));
    let steady = |line: &str| {
        // Newer releases also print the program that caused an event.
        let line = line.split(" [USERSPACE]").next().unwrap_or(line);
        let words = line.split(' ').filter(|word| !word.starts_with("use="));
        let line = words.collect::<Vec<_>>().join(" ");
        // In XML all entries are one line.
        let pieces =
            line.split("<use>").map(|piece| piece.split_once("</use>").map_or(piece, |(_, rest)| rest));
        pieces.collect::<String>().trim_end().to_owned()
    };
    let mut lines: Vec<_> = text.lines().filter(is_entry).map(steady).collect();
    lines.sort();
    lines
}

/// A line with its timeout and age in hundreds of seconds.
pub(crate) fn in_hundreds(line: &str) -> String {
    let pieces: Vec<_> = line.split_inclusive([' ', '=', '<', '>']).collect();
    let digits = |piece: &str| piece.trim_end_matches([' ', '<']).len();
    let seconds = |piece: &str| piece[..digits(piece)].parse::<u64>().ok();
    // In plain text the timeout is the last number before the first name of a value.
    let first = pieces.iter().position(|piece| piece.ends_with(['=', '>'])).unwrap_or(pieces.len());
    let timeout = pieces[..first].iter().rposition(|piece| seconds(piece).is_some());
    let names = ["timeout>", "deltatime>", "delta-time="];
    let is_time = |at: usize| timeout == Some(at) || at > 0 && names.contains(&pieces[at - 1]);
    let rounded = |(at, piece): (usize, &&str)| match seconds(piece).filter(|_| is_time(at)) {
        Some(seconds) => format!("{}{}", seconds / 100, &piece[digits(piece)..]),
        None => (*piece).to_owned(),
    };
    pieces.iter().enumerate().map(rounded).collect()
}

#[test]
fn times_are_rounded_wherever_they_are() {
    for (line, rounded) in [
        (
            "udp      17 3578 src=10.1.0.0 mark=178 delta-time=199",
            "udp      17 35 src=10.1.0.0 mark=178 delta-time=1",
        ),
        (
            "ipv4     2 tcp      6 299 ESTABLISHED src=10.1.0.0",
            "ipv4     2 tcp      6 2 ESTABLISHED src=10.1.0.0",
        ),
        ("297 proto=6 src=10.1.0.0", "2 proto=6 src=10.1.0.0"),
        (
            "<flow><mark>178</mark><timeout>99</timeout></flow><timeout>100</timeout>",
            "<flow><mark>178</mark><timeout>0</timeout></flow><timeout>1</timeout>",
        ),
    ] {
        assert_eq!(in_hundreds(line), rounded);
    }
}
