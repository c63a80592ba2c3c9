//! Angle expressions of OpenQASM 2: numbers, `pi`, `+ - * /`, unary minus and parentheses.

/// The value of an expression in radians.
///
/// # Errors
/// Says what is wrong with the first thing that is.
pub fn evaluate(text: &str) -> Result<f64, String> {
    let mut parser = Parser { rest: text.trim_start(), depth: 0 };
    let value = parser.sum()?;
    if !parser.rest.is_empty() {
        return Err(format!("`{}` after the end of the expression `{text}`", parser.rest));
    }
    if value.is_finite() { Ok(value) } else { Err(format!("`{text}` is not a finite number")) }
}

/// Parentheses and signs that may be nested: keeps the parser's stack small on hostile input.
const MAX_DEPTH: usize = 64;

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl Parser<'_> {
    fn eat(&mut self, token: char) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }

    fn sum(&mut self) -> Result<f64, String> {
        let mut value = self.product()?;
        loop {
            if self.eat('+') {
                value += self.product()?;
            } else if self.eat('-') {
                value -= self.product()?;
            } else {
                return Ok(value);
            }
        }
    }

    fn product(&mut self) -> Result<f64, String> {
        let mut value = self.factor()?;
        loop {
            if self.eat('*') {
                value *= self.factor()?;
            } else if self.eat('/') {
                value /= self.factor()?;
            } else {
                return Ok(value);
            }
        }
    }

    fn factor(&mut self) -> Result<f64, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} nested signs or parentheses"));
        }
        let value = if self.eat('-') {
            -self.factor()?
        } else if self.eat('+') {
            self.factor()?
        } else if self.eat('(') {
            let inner = self.sum()?;
            if !self.eat(')') {
                return Err("a `(` without its `)`".into());
            }
            inner
        } else {
            self.number()?
        };
        self.depth -= 1;
        Ok(value)
    }

    fn number(&mut self) -> Result<f64, String> {
        let bytes = self.rest.as_bytes();
        let mut end = 0;
        while let Some(&byte) = bytes.get(end) {
            let sign =
                matches!(byte, b'+' | b'-') && end > 0 && matches!(bytes[end - 1], b'e' | b'E');
            // A sign belongs to a number only after its exponent's letter, and words have none.
            let of_number = sign && bytes[0].is_ascii_digit() | (bytes[0] == b'.');
            if !(byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'_' || of_number) {
                break;
            }
            end += 1;
        }
        let (word, rest) = self.rest.split_at(end);
        let value = match word {
            "" => return Err(format!("a number or `pi` expected at `{}`", self.rest)),
            "pi" => std::f64::consts::PI,
            // Rust's own parser also takes `inf` and `nan`; a number begins with a digit or a dot.
            _ if word.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
                word.parse().map_err(|_| format!("`{word}` is not a number"))?
            }
            _ => return Err(format!("`{word}` is not a number; only `pi` has a name")),
        };
        self.rest = rest.trim_start();
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::evaluate;
    use std::f64::consts::PI;

    #[test]
    fn expressions_have_the_usual_precedence() {
        for (text, value) in [
            ("-pi/2", -PI / 2.0),
            ("2*(1 - 3)/4", -1.0),
            ("1-2-3", -4.0),
            ("8/4/2", 1.0),
            ("1.5e-3 + 2E+1", 20.0015),
            ("--1", 1.0),
            ("-(pi)*3", -3.0 * PI),
            (".5-1", -0.5),
        ] {
            assert_eq!(evaluate(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn what_is_not_an_expression_is_refused() {
        let deep = "(".repeat(10_000);
        for text in
            ["", "1 +", "(1", "1)", "tau", "1/0", "inf", "nan", "1..2", "2 3", "sin(1)", &deep]
        {
            assert!(evaluate(text).is_err(), "{text}");
        }
    }
}
