//! Writes answers: numbers without the float formatter, fields, refusals.

use core::fmt;
use embedded_io::Write;

/// The most decimal digits of a `u64`.
const DIGITS: usize = 20;

/// One answer line on its way out; remembers the first error of the port.
pub(crate) struct LineWriter<'p, P: Write> {
    port: &'p mut P,
    done: Result<(), P::Error>,
}

impl<'p, P: Write> LineWriter<'p, P> {
    pub(crate) fn new(port: &'p mut P) -> Self {
        Self { port, done: Ok(()) }
    }

    pub(crate) fn text(mut self, text: &str) -> Self {
        self.raw(text.as_bytes());
        self
    }

    /// Adds a name from a model file, which must not break the line into more fields or lines.
    pub(crate) fn name(mut self, name: &str) -> Self {
        for part in name.split_inclusive(char::is_control) {
            let kept = part.trim_end_matches(char::is_control);
            self.raw(kept.as_bytes());
            if kept.len() < part.len() {
                self.raw(b" ");
            }
        }
        self
    }

    pub(crate) fn number(self, value: u64) -> Self {
        self.digits(value, 1)
    }

    /// Adds a number between 0 and 1 with six decimals, rounded; NaN and what lies outside are
    /// clamped, and never come from a softmax.
    pub(crate) fn probability(self, value: f32) -> Self {
        let millionths = millionths(value);
        self.digits(millionths / 1_000_000, 1).text(".").digits(millionths % 1_000_000, 6)
    }

    /// Adds what the formatter makes of `value`.
    pub(crate) fn shown(mut self, value: impl fmt::Display) -> Self {
        // The answer keeps the port's error itself; formatting has none of its own.
        let _ = fmt::Write::write_fmt(&mut self, format_args!("{value}"));
        self
    }

    pub(crate) fn end(self) -> Result<(), P::Error> {
        let Self { port, done } = self.text("\r\n");
        done?;
        port.flush()
    }

    /// Adds a number with at least `least` digits.
    fn digits(mut self, mut value: u64, least: usize) -> Self {
        let mut digits = [b'0'; DIGITS];
        let mut used = 0;
        for slot in digits.iter_mut().rev() {
            if value == 0 && used >= least {
                break;
            }
            // The remainder is below 10: the cast loses nothing.
            *slot = b'0' + (value % 10) as u8;
            value /= 10;
            used += 1;
        }
        if let Some(shown) = digits.get(DIGITS.saturating_sub(used)..) {
            self.raw(shown);
        }
        self
    }

    fn raw(&mut self, bytes: &[u8]) {
        if self.done.is_ok() {
            self.done = self.port.write_all(bytes);
        }
    }
}

/// `value` in millionths, rounded to the nearest: exact, in integers, because no board needs double
/// precision for anything else.
fn millionths(value: f32) -> u64 {
    if value >= 1.0 {
        return 1_000_000;
    }
    // NaN and what is not positive.
    if value.partial_cmp(&0.0) != Some(core::cmp::Ordering::Greater) {
        return 0;
    }
    // Below 1 the value is `mantissa / 2^shift` with a shift of 24 or more; far below, rounded to 0.
    let bits = value.to_bits();
    let mantissa = u64::from(bits & 0x007f_ffff | 0x0080_0000);
    let shift = 150_u32.saturating_sub(bits >> 23);
    let half = 1_u64.checked_shl(shift.saturating_sub(1)).unwrap_or(0);
    (mantissa * 1_000_000 + half).checked_shr(shift).unwrap_or(0)
}

impl<P: Write> fmt::Write for LineWriter<'_, P> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.raw(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::string::String;
    use std::vec::Vec;

    fn written(write: impl FnOnce(LineWriter<'_, Vec<u8>>) -> LineWriter<'_, Vec<u8>>) -> String {
        let mut port = Vec::new();
        write(LineWriter::new(&mut port)).end().unwrap_or_default();
        String::from_utf8(port).unwrap_or_default()
    }

    #[test]
    fn numbers_are_the_formatters_numbers() {
        for value in [0, 1, 9, 10, 99, 100, 1_000_000, 18_446_744_073_709_551_615] {
            assert_eq!(written(|answer| answer.number(value)), std::format!("{value}\r\n"));
        }
    }

    #[test]
    fn probabilities_are_rounded_to_six_decimals() {
        let mut worst = 0.0_f64;
        for step in 0..=10_000_u16 {
            let value = f32::from(step) / 10_000.0;
            let shown = written(|answer| answer.probability(value));
            let back: f64 = shown.trim_end().parse().unwrap_or(f64::NAN);
            assert_eq!(shown.trim_end().len(), 8, "{shown:?}");
            worst = worst.max((back - f64::from(value)).abs());
        }
        assert!(worst <= 0.5e-6 + 1e-12, "{worst}");
    }

    #[test]
    fn impossible_probabilities_stay_inside_the_line() {
        for tiny in [f32::MIN_POSITIVE, 1e-40, 1e-8, 4.9e-7] {
            assert_eq!(written(|answer| answer.probability(tiny)), "0.000000\r\n");
        }
        assert_eq!(written(|answer| answer.probability(f32::NAN)), "0.000000\r\n");
        assert_eq!(written(|answer| answer.probability(f32::INFINITY)), "1.000000\r\n");
        assert_eq!(written(|answer| answer.probability(-3.0)), "0.000000\r\n");
    }

    #[test]
    fn a_name_cannot_add_fields_or_lines() {
        assert_eq!(written(|answer| answer.name("a\tb\r\nc é")), "a b  c é\r\n");
        assert_eq!(written(|answer| answer.name("\n")), " \r\n");
    }
}
