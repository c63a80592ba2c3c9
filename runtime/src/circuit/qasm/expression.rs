//! Angle expressions of OpenQASM 2: numbers, `pi`, names, `+ - * /`, signs and parentheses; affine in
//! the names.

use crate::circuit::affine::Affine;
use alloc::format;
use alloc::string::String;
use core::f64::consts::PI;

/// Words that OpenQASM keeps for functions, and two that look like numbers.
const RESERVED: [&str; 8] = ["sin", "cos", "tan", "exp", "ln", "sqrt", "inf", "nan"];

/// Parentheses and signs that may be nested: keeps the parser's stack small on hostile input.
const MAX_DEPTH: usize = 64;

/// The angle that an expression stands for, in radians; `number` gives each name its number.
///
/// # Errors
/// Says what is wrong with the first thing that is.
pub(crate) fn evaluate(
    text: &str,
    number: impl FnMut(&str) -> Result<u16, String>,
) -> Result<Affine, String> {
    let mut parser = Parser { rest: text.trim_start(), depth: 0, number };
    let value = parser.sum()?;
    if !parser.rest.is_empty() {
        return Err(format!("`{}` after the end of the expression `{text}`", parser.rest));
    }
    if value.constant.is_finite() && value.terms.iter().all(|(_, c)| c.is_finite()) {
        Ok(value)
    } else {
        Err(format!("`{text}` is not finite"))
    }
}

struct Parser<'a, F> {
    rest: &'a str,
    depth: usize,
    number: F,
}

impl<F: FnMut(&str) -> Result<u16, String>> Parser<'_, F> {
    fn eat(&mut self, token: char) -> bool {
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.map_or(self.rest, str::trim_start);
        rest.is_some()
    }

    fn sum(&mut self) -> Result<Affine, String> {
        let mut value = self.product()?;
        loop {
            if self.eat('+') {
                value.add(self.product()?);
            } else if self.eat('-') {
                value.add(self.product()?.scaled(-1.0));
            } else {
                return Ok(value);
            }
        }
    }

    fn product(&mut self) -> Result<Affine, String> {
        let mut value = self.factor()?;
        loop {
            if self.eat('*') {
                let by = self.factor()?;
                value = match (value.terms.is_empty(), by.terms.is_empty()) {
                    (_, true) => value.scaled(by.constant),
                    (true, _) => by.scaled(value.constant),
                    _ => return Err("names are multiplied; an angle is affine in its names".into()),
                };
            } else if self.eat('/') {
                let by = self.factor()?;
                if !by.terms.is_empty() {
                    return Err("division by a name; an angle is affine in its names".into());
                }
                // Not times the reciprocal, which would round twice.
                value.constant /= by.constant;
                value.terms.iter_mut().for_each(|(_, c)| *c /= by.constant);
            } else {
                return Ok(value);
            }
        }
    }

    fn factor(&mut self) -> Result<Affine, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} nested signs or parentheses"));
        }
        let value = if self.eat('-') {
            self.factor()?.scaled(-1.0)
        } else if self.eat('+') {
            self.factor()?
        } else if self.eat('(') {
            let inner = self.sum()?;
            if !self.eat(')') {
                return Err("a `(` without its `)`".into());
            }
            inner
        } else {
            self.atom()?
        };
        self.depth -= 1;
        Ok(value)
    }

    fn atom(&mut self) -> Result<Affine, String> {
        let bytes = self.rest.as_bytes();
        let numeric = bytes.first().is_some_and(|b| b.is_ascii_digit() || *b == b'.');
        let mut end = 0;
        while let Some(&byte) = bytes.get(end) {
            // A sign belongs to a number only after its exponent's letter, and names have none.
            let sign = numeric
                && matches!(byte, b'+' | b'-')
                && matches!(bytes.get(end.wrapping_sub(1)), Some(b'e' | b'E'));
            if !(byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'_' || sign) {
                break;
            }
            end += 1;
        }
        let (word, rest) = self.rest.split_at(end);
        let value = match word {
            "" => return Err(format!("a number, `pi` or a name expected at `{}`", self.rest)),
            "pi" => Affine::constant(PI),
            _ if numeric => {
                Affine::constant(word.parse().map_err(|_| format!("`{word}` is not a number"))?)
            }
            _ if word.contains('.') => return Err(format!("`{word}` is neither number nor name")),
            _ if RESERVED.contains(&word) => {
                return Err(format!("`{word}` cannot be part of an angle; give its value"));
            }
            _ => Affine::parameter((self.number)(word)?),
        };
        self.rest = rest.trim_start();
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value with `a`, `b`, ... numbered 0, 1, ...
    fn value(text: &str) -> Result<Affine, String> {
        evaluate(text, |name| Ok(u16::from(name.as_bytes()[0] - b'a')))
    }

    #[test]
    fn expressions_have_the_usual_precedence() {
        for (text, number) in [
            ("-pi/2", -PI / 2.0),
            ("2*(1 - 3)/4", -1.0),
            ("1-2-3", -4.0),
            ("8/4/2", 1.0),
            ("1.5e-3 + 2E+1", 20.0015),
            ("--1", 1.0),
            ("-(pi)*3", -3.0 * PI),
            (".5-1", -0.5),
        ] {
            assert_eq!(value(text), Ok(Affine::constant(number)), "{text}");
        }
    }

    #[test]
    fn names_are_affine() {
        let affine = |constant, terms: &[(u16, f64)]| Affine { constant, terms: terms.to_vec() };
        for (text, angle) in [
            ("a", affine(0.0, &[(0, 1.0)])),
            ("pi - 2*b/4", affine(PI, &[(1, -0.5)])),
            ("-(a + 3*b)*2 + 1", affine(1.0, &[(0, -2.0), (1, -6.0)])),
            ("a - b - a", affine(0.0, &[(1, -1.0)])),
            ("(a-a)*b", affine(0.0, &[])),
        ] {
            assert_eq!(value(text), Ok(angle), "{text}");
        }
    }

    #[test]
    fn what_is_not_an_affine_expression_is_refused() {
        let deep = "(".repeat(10_000);
        for text in [
            "", "1 +", "(1", "1)", "1/0", "inf", "nan", "1..2", "2 3", "sin(1)", "a*b", "a*a",
            "1/a", "a/0", "a.b", "2a", "a b", "_", "1e400", &deep,
        ] {
            assert!(
                evaluate(text, |name| match name {
                    "a" | "b" => Ok(0),
                    _ => Err("no such name".into()),
                })
                .is_err(),
                "{text}"
            );
        }
    }
}
