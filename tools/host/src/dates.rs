//! Calendar time: seconds since 1970 as UTC or Beijing date and time.

#[cfg(feature = "dates")]
use jiff::{Timestamp, civil::DateTime, tz::Offset};
use std::time::{SystemTime, UNIX_EPOCH};

pub fn now_s() -> u64 {
    now_ms() / 1000
}

pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_millis() as u64)
}

/// `YYYY-MM-DD HH:MM:SS`. By hand: the trainer needs no more of a calendar, and jiff would be two crates more in it.
///
/// Days are counted in eras of 400 years that begin in March, so that the leap day is a year's last.
pub fn utc(seconds: u64) -> String {
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + next;
    let (hour, minute) = (seconds / 3600 % 24, seconds / 60 % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{:02}", seconds % 60)
}

#[cfg(feature = "dates")]
pub fn beijing(seconds: u64) -> String {
    beijing_time(seconds).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Date and time in Beijing: eight hours ahead of UTC, without summer time.
#[cfg(feature = "dates")]
pub fn beijing_time(seconds: u64) -> DateTime {
    let instant = i64::try_from(seconds).ok().and_then(|s| Timestamp::from_second(s).ok());
    // A time beyond the year 9999 is no date of a job or a report.
    Offset::constant(8).to_datetime(instant.unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_instants() {
        assert_eq!(utc(0), "1970-01-01 00:00:00");
        assert_eq!(utc(951_782_399), "2000-02-28 23:59:59");
        assert_eq!(utc(951_782_400), "2000-02-29 00:00:00");
        assert_eq!(utc(951_868_800), "2000-03-01 00:00:00");
        assert_eq!(utc(1_795_305_599), "2026-11-21 23:59:59");
        #[cfg(feature = "dates")]
        assert_eq!(beijing(1_795_305_599), "2026-11-22 07:59:59");
    }
}
