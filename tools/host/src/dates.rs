//! Calendar time: seconds since 1970 as UTC or Beijing date and time.

use jiff::{Timestamp, civil::DateTime, tz::Offset};
use std::time::{SystemTime, UNIX_EPOCH};

pub fn now_s() -> u64 {
    now_ms() / 1000
}

pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_millis() as u64)
}

pub fn utc(seconds: u64) -> String {
    shown(at(seconds, 0))
}

pub fn beijing(seconds: u64) -> String {
    shown(beijing_time(seconds))
}

/// Date and time in Beijing: eight hours ahead of UTC, without summer time.
pub fn beijing_time(seconds: u64) -> DateTime {
    at(seconds, 8)
}

fn at(seconds: u64, ahead_hours: i8) -> DateTime {
    let instant = i64::try_from(seconds).ok().and_then(|s| Timestamp::from_second(s).ok());
    // A time beyond the year 9999 is no date of a job or a report.
    Offset::constant(ahead_hours).to_datetime(instant.unwrap_or(Timestamp::MAX))
}

fn shown(time: DateTime) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
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
        assert_eq!(beijing(1_795_305_599), "2026-11-22 07:59:59");
    }
}
