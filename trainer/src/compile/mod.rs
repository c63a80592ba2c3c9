//! Compiles a trained model's circuit to smaller ways of running it, and measures what they cost.
//!
//! Every expectation is multilinear in (1, cos, sin) of each encoder angle. [`coefficients`] holds the
//! `3^n` numbers that say how; [`polynomial`](mod@polynomial) keeps the most telling of them, [`tensor_train`] factors
//! them into a chain of small cores. Half of the texts are fitted, a quarter chooses how much is kept, and the
//! share of equal decisions is reported on the last quarter (`agreement`).

pub(crate) mod agreement;
pub mod coefficients;
pub mod polynomial;
pub mod tensor_train;

use crate::data::text_digest;
use agreement::{Agreement, CircuitInputs};
use anyhow::{Error, Result, anyhow, ensure};
use qdllm_host::errors::wrong_use;
use qdllm_runtime::circuit::program::Op;
use qdllm_runtime::compiled::Measured;
use qdllm_runtime::{Model, ScratchI16};

/// Fewest texts that can be calibrated with and reported on.
const LEAST_TEXTS: usize = 20;
/// Of the share that may change, how much may be expected to.
const SAFETY: f64 = 0.1;

/// A compiled back end: its section and what is stated in it.
#[derive(Clone, Debug)]
pub struct Compiled {
    pub section: Vec<u8>,
    /// What it is made of, in words.
    pub made_of: String,
    pub measured: Measured,
}

/// A back end that was tried, and its agreement on the texts that choose and on those that are reported on.
struct Tried {
    compiled: Compiled,
    chosen: Agreement,
    reported: Agreement,
}

/// The best of what was tried and is not good enough: in words, and on the texts reported on.
type Best = Option<(String, Agreement)>;

pub struct Task<'m> {
    pub model: &'m Model<'m>,
    pub calibration: CircuitInputs,
    /// Texts that choose how much is kept: a quarter.
    pub choice: CircuitInputs,
    /// Texts that are reported on: a quarter.
    pub report: CircuitInputs,
    pub asked: f64,
}

impl<'m> Task<'m> {
    /// Shares out the texts by their digest, so that neither the order of a file nor a pattern in it matters.
    pub fn new(model: &'m Model<'m>, texts: &[String], asked: f64) -> Result<Self> {
        check(texts, asked)?;
        let mut texts: Vec<&String> = texts.iter().collect();
        texts.sort_by_cached_key(|text| text_digest(text));
        let (fitted, rest) = texts.split_at(texts.len().div_ceil(2));
        let (chosen, reported) = rest.split_at(rest.len().div_ceil(2));
        let inputs = |texts: &[&String]| CircuitInputs::new(model, texts.iter().copied());
        let (calibration, choice, report) = (inputs(fitted)?, inputs(chosen)?, inputs(reported)?);
        Ok(Self { model, calibration, choice, report, asked })
    }

    /// Whether a back end that compares so on the texts that choose is good enough.
    ///
    /// A tenth of the share that was left may be expected to change, since other texts lie closer to the border
    /// between classes than those that the model was trained on.
    fn is_enough(&self, agreement: &Agreement) -> bool {
        let allowed = (1.0 - self.asked).max(1.0 / self.choice.len() as f64) * SAFETY;
        agreement.share >= self.asked && agreement.expected_loss <= allowed
    }

    /// Measures what the runtime makes of a back end: `section` writes it with what was measured, `compare` runs it.
    fn measure(
        &self,
        made_of: String,
        (multiply_adds, ram_bytes): (usize, usize),
        section: impl Fn(&Measured) -> Vec<u8>,
        compare: impl Fn(&[u8], &CircuitInputs) -> Result<Agreement>,
    ) -> Result<Tried> {
        let measured = |a| measured(self.asked, self.report.len(), a, (multiply_adds, ram_bytes));
        let bytes = section(&measured(Agreement::default()));
        let (chosen, reported) = (compare(&bytes, &self.choice)?, compare(&bytes, &self.report)?);
        let measured = measured(reported);
        let compiled = Compiled { section: section(&measured), made_of, measured };
        Ok(Tried { compiled, chosen, reported })
    }

    /// Takes what is good enough; of what is not, `best` remembers the best as `name`.
    fn accept(&self, tried: Tried, name: &str, best: &mut Best) -> Option<Compiled> {
        if self.is_enough(&tried.chosen) && tried.reported.share >= self.asked {
            return Some(tried.compiled);
        }
        if best.as_ref().is_none_or(|(_, b)| tried.reported.share > b.share) {
            *best = Some((name.to_owned(), tried.reported));
        }
        None
    }

    fn out_of_reach(&self, what: &str, best: Best) -> Error {
        let best = best.unwrap_or(("none".to_owned(), Agreement::default()));
        // A share that was reached may still ask for more certainty than there is.
        let certain = (best.1.share - 10.0 * best.1.expected_loss).max(0.0);
        out_of_reach(what, best, (self.asked, certain), self.report.len())
    }
}

fn check(texts: &[String], asked: f64) -> Result<()> {
    if !(asked > 0.0 && asked <= 1.0) {
        return Err(wrong_use(format!(
            "--agreement is {asked}; give more than 0, at most 1, for example 0.999"
        )));
    }
    let texts = texts.len();
    ensure!(
        texts >= LEAST_TEXTS,
        "{texts} texts; at least {LEAST_TEXTS} are needed: half are fitted, a quarter chooses, a quarter is reported on"
    );
    Ok(())
}

fn measured(
    asked: f64,
    texts: usize,
    agreement: Agreement,
    (multiply_adds, ram_bytes): (usize, usize),
) -> Measured {
    Measured {
        asked: asked as f32,
        agreement: agreement.share as f32,
        texts: texts as u32,
        largest_logit_error: agreement.largest_error,
        multiply_adds: multiply_adds as u32,
        ram_bytes: ram_bytes as u32,
    }
}

/// `what` is the kind of back end, with its limit; `best` the best one, on the texts reported on.
fn out_of_reach(
    what: &str,
    (best, Agreement { share, .. }): (String, Agreement),
    (asked, certain): (f64, f64),
    texts: usize,
) -> Error {
    let floor = (certain * 1e4).floor() / 1e4;
    anyhow!(
        "no {what} agrees on {asked} of the texts; the best found, {best}, agrees on {share:.4} of {texts} texts. Ask for less with --agreement {floor:.4}"
    )
}

/// Measures how often the circuit in 16-bit integers decides as in `f32`: nothing is chosen, so every text is
/// reported on.
pub fn statevector_i16(model: &Model<'_>, texts: &[String], asked: f64) -> Result<Compiled> {
    check(texts, asked)?;
    let agreement = CircuitInputs::new(model, texts.iter())?.statevector_i16(model);
    if agreement.share < asked {
        let best = ("the circuit in 16-bit integers".to_owned(), agreement);
        return Err(out_of_reach("16-bit amplitude", best, (asked, agreement.share), texts.len()));
    }
    // Four multiplications an amplitude and diagonal or rotation, two for its probability, one for the start; then
    // the head.
    let program = model.program();
    let passes = program.ops().filter(|op| !matches!(op, Op::IndexMap(_))).count();
    let amplitudes = 1_usize << program.qubits();
    let multiply_adds = (4 * passes + 3) * amplitudes + model.classes() * program.outputs();
    let measured =
        measured(asked, texts.len(), agreement, (multiply_adds, size_of::<ScratchI16>()));
    let made_of = format!("{amplitudes} amplitudes of 16 bits");
    Ok(Compiled { section: measured.bytes(), made_of, measured })
}
