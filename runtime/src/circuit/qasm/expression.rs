//! Angle expressions: numbers, names, `+ - * / ^`, signs, parentheses and functions; affine in the names.

use super::lexer::{Cursor, is_name};
use crate::circuit::affine::Affine;
use crate::math::{FUNCTIONS, pow};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Parentheses and signs that may be nested: keeps the parser's stack small on hostile input.
const MAX_DEPTH: usize = 64;

/// Names in one angle: keeps the sum of two angles cheap on hostile input.
const MAX_TERMS: usize = 64;

/// An expression in postfix order, so that its value needs no recursion.
pub(super) type Expression = Vec<Op>;

#[derive(Clone)]
pub(super) enum Op {
    Value(Affine),
    /// A name that nobody has looked up yet.
    Name(String),
    /// An angle that a gate definition takes.
    Parameter(usize),
    /// `+ - * / ^`
    Binary(char),
    Negate,
    Function(fn(f64) -> f64),
}

/// Reads an expression; `power` is the sign of powers in the text's version.
pub(super) fn read(cursor: &mut Cursor<'_>, power: &str) -> Result<Expression, String> {
    let mut reader = Reader { cursor, power, depth: 0, ops: Vec::new() };
    reader.sum()?;
    Ok(reader.ops)
}

/// The angle that an expression stands for, in radians, for the angles that its gate is given.
///
/// # Errors
/// What is not affine in the names, or no finite number.
pub(super) fn value(ops: &[Op], parameters: &[Affine]) -> Result<Affine, String> {
    let mut stack: Vec<Affine> = Vec::new();
    for op in ops {
        let mut pop = || stack.pop().unwrap_or_default();
        let value = match op {
            Op::Value(value) => value.clone(),
            Op::Parameter(i) => parameters.get(*i).cloned().unwrap_or_default(),
            Op::Name(name) => return Err(format!("`{name}` has no value")),
            Op::Negate => pop().scaled(-1.0),
            Op::Function(function) => Affine::constant(function(number(&pop())?)),
            Op::Binary(sign) => {
                let b = pop();
                binary(*sign, pop(), b)?
            }
        };
        stack.push(value);
    }
    finite(stack.pop().unwrap_or_default())
}

pub(super) fn finite(angle: Affine) -> Result<Affine, String> {
    let finite = angle.constant.is_finite() && angle.terms.iter().all(|(_, c)| c.is_finite());
    if finite { Ok(angle) } else { Err("an angle is not finite".into()) }
}

/// The value of what has no names.
pub(super) fn number(value: &Affine) -> Result<f64, String> {
    let what = "a name inside a function, a power or a divisor; an angle is affine in its names";
    if value.terms.is_empty() { Ok(value.constant) } else { Err(what.into()) }
}

fn binary(sign: char, a: Affine, b: Affine) -> Result<Affine, String> {
    let sum = match sign {
        '+' => a.plus(&b),
        '-' => a.plus(&b.scaled(-1.0)),
        '*' => match (a.terms.is_empty(), b.terms.is_empty()) {
            (_, true) => a.scaled(b.constant),
            (true, _) => b.scaled(a.constant),
            _ => return Err("names are multiplied; an angle is affine in its names".into()),
        },
        '/' => {
            let by = number(&b)?;
            // Not times the reciprocal, which would round twice.
            let terms = a.terms.into_iter().map(|(name, c)| (name, c / by)).collect();
            Affine { constant: a.constant / by, terms }
        }
        _ => Affine::constant(pow(number(&a)?, number(&b)?)),
    };
    let many = sum.terms.len();
    if many > MAX_TERMS {
        return Err(format!("{many} names in one angle; at most {MAX_TERMS} are read"));
    }
    Ok(sum)
}

struct Reader<'a, 't> {
    cursor: &'a mut Cursor<'t>,
    power: &'a str,
    depth: usize,
    ops: Expression,
}

impl Reader<'_, '_> {
    fn sum(&mut self) -> Result<(), String> {
        self.left_to_right("+-", Self::product)
    }

    fn product(&mut self) -> Result<(), String> {
        self.left_to_right("*/", Self::signed)
    }

    fn left_to_right(
        &mut self,
        signs: &str,
        operand: fn(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        operand(self)?;
        while let Some(sign) = self.sign(signs) {
            operand(self)?;
            self.ops.push(Op::Binary(sign));
        }
        Ok(())
    }

    fn sign(&mut self, of: &str) -> Option<char> {
        let sign = of.chars().find(|c| self.cursor.peek(0).strip_prefix(*c) == Some(""))?;
        self.cursor.at += 1;
        Some(sign)
    }

    fn signed(&mut self) -> Result<(), String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} nested signs or parentheses"));
        }
        match self.sign("+-") {
            Some(sign) => {
                self.signed()?;
                if sign == '-' {
                    self.ops.push(Op::Negate);
                }
            }
            None => {
                self.atom()?;
                if self.cursor.eat(self.power) {
                    self.signed()?;
                    self.ops.push(Op::Binary('^'));
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn atom(&mut self) -> Result<(), String> {
        if self.cursor.eat("(") {
            self.sum()?;
            return self.cursor.take(")");
        }
        let word = self.cursor.peek(0);
        let function = FUNCTIONS.iter().find(|(name, _)| *name == word);
        let op = match function {
            Some((_, function)) if self.cursor.peek(1) == "(" => {
                self.cursor.at += 2;
                self.sum()?;
                self.cursor.take(")")?;
                self.ops.push(Op::Function(*function));
                return Ok(());
            }
            Some(_) => return Err(format!("`{word}` is a function: `{word}(1)`")),
            None if is_name(word) => Op::Name(word.into()),
            None if word.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
                let number = word.parse().map_err(|_| format!("`{word}` is not a number"))?;
                Op::Value(Affine::constant(number))
            }
            None => return Err(self.cursor.wanted("a number, `pi` or a name")),
        };
        self.ops.push(op);
        self.cursor.at += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::f64::consts::PI;

    /// The value with `a`, `b`, ... numbered 0, 1, ...
    fn evaluated(text: &str) -> Result<Affine, String> {
        let mut cursor = Cursor::new(text).map_err(|e| e.what)?;
        let mut ops = read(&mut cursor, "^")?;
        if cursor.at < cursor.tokens.len() {
            return Err(cursor.wanted("the end"));
        }
        for op in &mut ops {
            let Op::Name(name) = op else { continue };
            *op = Op::Value(match name.as_str() {
                "pi" => Affine::constant(PI),
                "a" | "b" => Affine::parameter(u16::from(name.as_bytes()[0] - b'a')),
                _ => return Err("no such name".into()),
            });
        }
        value(&ops, &[])
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
            ("2^3^2/2", 256.0),
            ("-2^2", -4.0),
            ("2^-1", 0.5),
            ("3*2^2+1", 13.0),
            ("sqrt(4)+ln(exp(2))*cos(0)", 4.0),
            ("sin(pi/2)-tan(0)", 1.0),
        ] {
            assert_eq!(evaluated(text), Ok(Affine::constant(number)), "{text}");
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
            ("a*sin(b-b)+b*2^2", affine(0.0, &[(1, 4.0)])),
        ] {
            assert_eq!(evaluated(text), Ok(angle), "{text}");
        }
    }

    #[test]
    fn what_is_not_an_affine_expression_is_refused() {
        let (deep, powers) = ("(".repeat(10_000), "2^".repeat(10_000));
        for text in [
            "", "1 +", "(1", "1)", "1/0", "inf", "nan", "1..2", "2 3", "sin", "sin(a)", "a*b",
            "a*a", "1/a", "a/0", "a.b", "2a", "a b", "_", "1e400", "2^a", "ln(-1)", "ln(0)",
            "exp(1e9)", "0x1", &deep, &powers,
        ] {
            assert!(evaluated(text).is_err(), "{text}");
        }
    }
}
