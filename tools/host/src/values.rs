//! Values of options that are numbers within a range; anything else is wrong use, which clap ends with 2.

use std::fmt::Display;
use std::ops::{Bound, RangeBounds};
use std::str::FromStr;

/// A `value_parser` for numbers within a range; no range holds NaN.
pub fn within<T: FromStr + PartialOrd + Display>(
    range: impl RangeBounds<T> + Clone,
) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| {
        let number = text.trim().parse().ok().filter(|x| range.contains(x));
        number.ok_or_else(|| format!("give a number {}", words(&range)))
    }
}

/// Positive numbers up to `most`.
pub const fn above_zero(most: f64) -> (Bound<f64>, Bound<f64>) {
    (Bound::Excluded(0.0), Bound::Included(most))
}

fn words<T: Display>(range: &impl RangeBounds<T>) -> String {
    let low = match range.start_bound() {
        Bound::Included(x) => format!("of at least {x}"),
        Bound::Excluded(x) => format!("above {x}"),
        Bound::Unbounded => String::new(),
    };
    match range.end_bound() {
        Bound::Included(x) => format!("{low}, at most {x}"),
        Bound::Excluded(x) => format!("{low}, below {x}"),
        Bound::Unbounded => low,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_range_is_refused_in_words() {
        assert_eq!(within(1_usize..)("3"), Ok(3));
        assert_eq!(within(1_usize..)("0"), Err("give a number of at least 1".into()));
        assert_eq!(within(0..=1_u8)("x"), Err("give a number of at least 0, at most 1".into()));
        let share = within(0.0..1.0);
        assert_eq!((share("0"), share(" 0.5 ")), (Ok(0.0), Ok(0.5)));
        for wrong in ["1", "nan", "-inf", ""] {
            assert_eq!(share(wrong), Err("give a number of at least 0, below 1".into()), "{wrong}");
        }
        let positive = within(above_zero(1e6));
        assert_eq!(positive("0"), Err("give a number above 0, at most 1000000".into()));
        assert!(positive("inf").is_err() && positive("1e-3").is_ok());
    }
}
