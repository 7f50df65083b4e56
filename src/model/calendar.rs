//! Days of the Gregorian calendar.

pub(crate) const SECONDS_A_DAY: u64 = 86_400;
/// Days from 1 March of year 0 to 1 January 1970.
pub(crate) const TO_1970: u64 = 719_468;
/// Days in 400 years, after which the calendar repeats.
pub(crate) const ERA: u64 = 146_097;

/// Year, month and day of a day counted from 1 January 1970. Years are counted from March on, so that a leap
/// day is the last of its year.
pub(crate) fn date(days: u64) -> (u64, u64, u64) {
    let days = days + TO_1970;
    let (era, day) = (days / ERA, days % ERA);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - days_before(year);
    // Months from March on: 153 days in five.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

/// Days in so many years of an era.
pub(crate) fn days_before(years: u64) -> u64 {
    365 * years + years / 4 - years / 100
}
