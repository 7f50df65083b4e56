//! Points in time as RFC 3339 writes them: `2026-03-01T09:30:00.123456789Z`.
//!
//! Nanoseconds since 1970 would be above 2⁵³, from where on readers that keep numbers as floating
//! point lose the last digits.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serializer};

use crate::model::calendar::{ERA, SECONDS_A_DAY, TO_1970, date, days_before};

pub(crate) fn serialize<S: Serializer>(time: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
    let Some(time) = time else { return serializer.serialize_none() };
    let text = written(*time);
    serializer.serialize_str(&text.ok_or_else(|| serde::ser::Error::custom("a time outside 1970 to 2554"))?)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SystemTime>, D::Error> {
    struct Time(SystemTime);

    impl<'de> Deserialize<'de> for Time {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let expected = "a time from 1970 to 2554 as 2026-03-01T09:30:00.123456789Z";
            super::read(deserializer, expected, |text| read(text).map(Time))
        }
    }

    Ok(Option::<Time>::deserialize(deserializer)?.map(|Time(time)| time))
}

/// The text; none for a time that the kernel cannot report: it has 64 bits of nanoseconds since 1970.
fn written(time: SystemTime) -> Option<String> {
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_nanos()).ok()?;
    let (days, second) = (since.as_secs() / SECONDS_A_DAY, since.as_secs() % SECONDS_A_DAY);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let nanos = since.subsec_nanos();
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}Z"))
}

/// The time of a text that [`written`] gives.
fn read(text: &str) -> Option<SystemTime> {
    let number = |from: usize, to: usize| {
        let digits = text.get(from..to).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        digits?.parse::<u64>().ok()
    };
    let days = days(number(0, 4)?, number(5, 7)?, number(8, 10)?)?;
    let second = number(11, 13)? * 3600 + number(14, 16)? * 60 + number(17, 19)?;
    let time = Duration::new(days * SECONDS_A_DAY + second, u32::try_from(number(20, 29)?).ok()?);
    // Whatever else is wrong, as a thirteenth month, a 61st second or a blank, is not written so.
    let time = UNIX_EPOCH.checked_add(time)?;
    (written(time)? == text).then_some(time)
}

/// The day, counted from 1 January 1970, of a date. A date that does not exist is some other day.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let day = (153 * month + 2) / 5 + day.checked_sub(1)?;
    (year / 400 * ERA + days_before(year % 400) + day).checked_sub(TO_1970)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times_are_written_as_they_should_be() {
        for (nanos, text) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (951_782_399_999_999_999, "2000-02-28T23:59:59.999999999Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00.000000000Z"),
            (1_234_567_890_123_456_789, "2009-02-13T23:31:30.123456789Z"),
            (4_107_542_400_000_000_000, "2100-03-01T00:00:00.000000000Z"),
            (u64::MAX, "2554-07-21T23:34:33.709551615Z"),
        ] {
            let time = UNIX_EPOCH + Duration::from_nanos(nanos);
            assert_eq!(written(time).as_deref(), Some(text));
            assert_eq!(read(text), Some(time), "{text}");
        }
    }

    #[test]
    fn every_day_there_can_be_is_read_again() {
        let mut last = (1969, 12, 31);
        for day in 0..=u64::MAX / 1_000_000_000 / SECONDS_A_DAY {
            let (year, month, of_month) = date(day);
            assert!((year, month, of_month) > last, "{last:?} {day}");
            assert_eq!(days(year, month, of_month), Some(day));
            last = (year, month, of_month);
        }
        assert_eq!(last, (2554, 7, 21));
    }

    #[test]
    fn what_is_no_such_time_is_refused() {
        for bad in [
            "",
            "2026-03-01",
            "2026-03-01T09:30:00Z",
            "2026-03-01T09:30:00.123456789",
            "2026-03-01T09:30:00.123456789+00:00",
            "2026-03-01 09:30:00.123456789Z",
            "2026-02-29T09:30:00.123456789Z",
            "2026-13-01T09:30:00.123456789Z",
            "2026-00-01T09:30:00.123456789Z",
            "2026-03-00T09:30:00.123456789Z",
            "2026-03-01T24:00:00.123456789Z",
            "2026-03-01T09:60:00.123456789Z",
            "2026-03-01T09:30:60.123456789Z",
            "2026-03-01T09:30:00.12345678µZ",
            "1969-12-31T23:59:59.999999999Z",
            "0000-01-01T00:00:00.000000000Z",
            "2554-07-21T23:34:33.709551616Z",
            "9999-12-31T23:59:59.999999999Z",
            "+026-03-01T09:30:00.123456789Z",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(written(UNIX_EPOCH - Duration::from_nanos(1)), None);
        assert_eq!(written(UNIX_EPOCH + Duration::from_secs(1 << 40)), None);
    }
}
