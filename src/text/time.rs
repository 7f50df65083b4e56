//! Points in time as the C library writes them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::line::Line;
use crate::model::calendar::{SECONDS_A_DAY, date};
use crate::model::flow::Timestamps;

/// Adds the age in seconds: until now where there is no end yet, or one in 1970.
pub(super) fn age(line: &mut Line<'_, '_>, times: &Timestamps) {
    let Some(start) = times.start else { return };
    let stop = times.stop.map(since_1970).filter(|stop| !stop.is_zero());
    let stop = stop.unwrap_or_else(|| since_1970(SystemTime::now()));
    // The library, too, goes round when the clock was set back.
    line.field(" delta-time=", stop.as_secs().wrapping_sub(since_1970(start).as_secs()));
}

/// Adds start and end as `ctime` writes them in UTC.
pub(super) fn times(line: &mut Line<'_, '_>, times: &Timestamps) {
    if let Some(start) = times.start {
        line.text(" [start=");
        ctime(line, start);
    }
    if let Some(stop) = times.stop {
        line.text(" [stop=");
        ctime(line, stop);
    }
}

/// Adds `Sun Mar  1 09:30:00 2026]`.
fn ctime(line: &mut Line<'_, '_>, time: SystemTime) {
    const DAYS: [&str; 7] = ["Thu ", "Fri ", "Sat ", "Sun ", "Mon ", "Tue ", "Wed "];
    const MONTHS: [&str; 12] =
        ["Jan ", "Feb ", "Mar ", "Apr ", "May ", "Jun ", "Jul ", "Aug ", "Sep ", "Oct ", "Nov ", "Dec "];
    let seconds = since_1970(time).as_secs();
    let (days, second) = (seconds / SECONDS_A_DAY, seconds % SECONDS_A_DAY);
    let (year, month, day) = date(days);
    // The first of January 1970 was a Thursday.
    line.text(DAYS[(days % 7) as usize]);
    line.text(MONTHS[month as usize - 1]);
    line.text(if day < 10 { " " } else { "" });
    line.number(day);
    for (before, number) in [(" ", second / 3600), (":", second / 60 % 60), (":", second % 60)] {
        line.text(before);
        line.two_digits(number);
    }
    line.field(" ", year);
    line.text("]");
}

/// The kernel's times begin in 1970; an earlier one, of a flow that a program made, is taken for that.
fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}
