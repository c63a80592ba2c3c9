//! How often to try again, and how long to wait before.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::time::{Duration, SystemTime};

/// When to try again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    /// Tries in all.
    pub tries: u32,
    /// Longest wait before the second try; doubled for each further one.
    pub first: Duration,
    /// Longest wait of all.
    pub longest: Duration,
    /// A `Retry-After` beyond this is not waited for.
    pub patience: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            tries: 6,
            first: Duration::from_millis(500),
            longest: Duration::from_secs(16),
            patience: Duration::from_secs(120),
        }
    }
}

impl Retry {
    /// The wait after try number `done` (from 1): between half and all of an exponentially growing
    /// time, by chance, so that clients that failed together do not come back together.
    pub fn wait(&self, done: u32) -> Duration {
        let full = self.first.saturating_mul(1 << done.saturating_sub(1).min(20)).min(self.longest);
        full.mul_f64(ChaCha8Rng::from_os_rng().random_range(0.5..=1.0))
    }
}

/// The time that a `Retry-After` header asks for: seconds, or a date.
pub fn retry_after(header: &str, now: SystemTime) -> Option<Duration> {
    let text = header.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_vary() {
        let retry = Retry::default();
        for (done, most) in [(1, 500), (2, 1000), (3, 2000), (6, 16_000), (40, 16_000)] {
            let waits: Vec<u128> = (0..50).map(|_| retry.wait(done).as_millis()).collect();
            assert!(waits.iter().all(|&w| w >= most / 2 && w <= most), "{done}: {waits:?}");
            assert!(waits.iter().any(|&w| w != waits[0]));
        }
    }

    #[test]
    fn retry_after_takes_seconds_and_dates() {
        let now = httpdate::parse_http_date("Sun, 22 Nov 2026 10:00:00 GMT").unwrap();
        let date = retry_after("Sun, 22 Nov 2026 10:00:30 GMT", now);
        assert_eq!(date, Some(Duration::from_secs(30)));
        assert_eq!(retry_after("Sun, 22 Nov 2026 09:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after(" 7 ", now), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("soon", now), None);
    }
}
