//! Calendar time: seconds since 1970 as UTC or Beijing date and time, without a time zone database.

use std::time::{SystemTime, UNIX_EPOCH};

/// Beijing is eight hours ahead of UTC, without summer time.
const BEIJING_S: i64 = 8 * 3600;

/// A date and a time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// Year, month from 1, day from 1.
    pub date: (i64, i64, i64),
    /// Hour, minute, second.
    pub time: (i64, i64, i64),
}

/// Seconds since 1970 now.
pub fn now_s() -> u64 {
    now_ms() / 1000
}

/// Milliseconds since 1970 now.
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_millis() as u64)
}

/// Date and time in UTC.
pub fn utc(seconds: u64) -> Civil {
    civil(seconds as i64)
}

/// Date and time in Beijing.
pub fn beijing(seconds: u64) -> Civil {
    civil(seconds as i64 + BEIJING_S)
}

/// The days-to-civil conversion over 400-year eras that begin in March, so that the leap day is last.
fn civil(seconds: i64) -> Civil {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Civil { date: (year, month, day), time: (rest / 3600, rest / 60 % 60, rest % 60) }
}

impl std::fmt::Display for Civil {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ((y, mo, d), (h, mi, s)) = (self.date, self.time);
        write!(f, "{y:04}-{mo:02}-{d:02} {h:02}:{mi:02}:{s:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_instants() {
        assert_eq!(utc(0).to_string(), "1970-01-01 00:00:00");
        assert_eq!(utc(951_782_400).to_string(), "2000-02-29 00:00:00");
        assert_eq!(utc(1_795_305_599).to_string(), "2026-11-21 23:59:59");
        assert_eq!(beijing(1_795_305_599).to_string(), "2026-11-22 07:59:59");
    }
}
