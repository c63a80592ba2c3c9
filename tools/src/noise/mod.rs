//! What a processor's noise does to a compiled circuit: counts by trajectories.
//!
//! The model: each gate is followed by a depolarising channel on its qubits, every qubit relaxes and
//! loses coherence from its first gate to the measurement, idle or not, and every bit is misread
//! independently. Here are the figures and the channels that they stand for; [`trajectory`] puts those
//! on a time line and draws shots. Not in the model: cross-talk, leakage, coherent errors, drift.

pub mod trajectory;

pub use crate::calibration::{CouplerNoise, Figures, QubitNoise};
pub use trajectory::Sampler;

use crate::calibration::{Calibration, TYPICAL};
use crate::processor::Processor;
use crate::readout::BitError;

/// What `overrides` say, else what is published of a processor, else [`TYPICAL`].
#[derive(Clone, Debug, PartialEq)]
pub struct NoiseModel {
    pub overrides: Figures,
    pub published: Calibration,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Relaxation {
    pub decay: f64,
    /// Probability of a Z: what is lost of the coherence beyond the decay's share.
    pub flip: f64,
}

impl QubitNoise {
    /// Relaxation over `ns` nanoseconds: coherence falls by `exp(-t/T2)`, of which the decay of |1> by
    /// `exp(-t/T1)` gives the square root.
    pub fn relaxation(&self, ns: f64) -> Relaxation {
        let t_us = ns / 1e3;
        let dephasing = (1.0 / self.t2_us - 0.5 / self.t1_us).max(0.0);
        Relaxation {
            decay: 1.0 - (-t_us / self.t1_us).exp(),
            flip: 0.5 * (1.0 - (-t_us * dephasing).exp()),
        }
    }

    /// Probability of a random Pauli (X, Y, Z alike) beside the relaxation of a one-qubit gate.
    pub fn depolarising(&self) -> f64 {
        depolarising(self.one_error, self.relaxation(self.one_ns).process_fidelity(), 2.0)
    }
}

impl CouplerNoise {
    /// Probability of a random pair of Paulis (all 15 alike) beside the relaxation of both qubits.
    pub fn depolarising(&self, a: &QubitNoise, b: &QubitNoise) -> f64 {
        let kept = |q: &QubitNoise| q.relaxation(self.cz_ns).process_fidelity();
        depolarising(self.error, kept(a) * kept(b), 4.0)
    }
}

impl Relaxation {
    pub fn process_fidelity(&self) -> f64 {
        let coherence = (1.0 - self.decay).sqrt() * (1.0 - 2.0 * self.flip);
        (1.0 + 2.0 * coherence + (1.0 - self.decay)) / 4.0
    }
}

/// The probability of a Pauli other than the identity that makes a gate of dimension `d` have average
/// infidelity `error`, when relaxation alone leaves the process fidelity `kept`.
///
/// Average fidelity `F` is process fidelity `((d+1) F - 1) / d`. A channel that replaces the state by
/// the mixed one with probability `l` turns `kept` into `(1-l) kept + l/d^2`; of such a replacement,
/// `1 - 1/d^2` is a Pauli other than the identity. Without relaxation that is 1.5 times the error of
/// a one-qubit gate, 1.25 times that of a two-qubit gate. A gate whose relaxation alone is worse than
/// its published error gets none.
fn depolarising(error: f64, kept: f64, d: f64) -> f64 {
    let wanted = ((d + 1.0) * (1.0 - error) - 1.0) / d;
    let share = (kept - wanted) / (kept - 1.0 / (d * d));
    share.clamp(0.0, 1.0) * (1.0 - 1.0 / (d * d))
}

impl NoiseModel {
    /// No noise at all: what is left is the scatter of the shots.
    pub fn none() -> Self {
        let overrides = Figures {
            one_error: Some(0.0),
            cz_error: Some(0.0),
            t1_us: Some(f64::INFINITY),
            t2_us: Some(f64::INFINITY),
            one_ns: Some(0.0),
            cz_ns: Some(0.0),
            readout: Some(BitError::default()),
        };
        Self { overrides, published: Calibration::default() }
    }

    pub fn of(processor: &Processor, overrides: &Figures) -> Self {
        Self { overrides: *overrides, published: processor.calibration.clone() }
    }

    pub fn qubit(&self, q: u8) -> QubitNoise {
        self.overrides.or(self.published.qubit(q)).qubit()
    }

    pub fn coupler(&self, a: u8, b: u8) -> CouplerNoise {
        self.overrides.or(self.published.coupler(a, b)).coupler()
    }
}

/// Which of the figures that a circuit on `qubits` needs a processor does not publish, in words.
pub fn assumed(processor: &Processor, qubits: &[u8], overrides: &Figures) -> Vec<String> {
    let on = |(a, b): &&(u8, u8)| qubits.contains(a) && qubits.contains(b);
    let qubit = |&q: &u8| overrides.or(processor.calibration.qubit(q));
    let coupler = |&(a, b): &(u8, u8)| overrides.or(processor.calibration.coupler(a, b));
    let one: Vec<Figures> = qubits.iter().map(qubit).collect();
    let two: Vec<Figures> = processor.couplers.iter().filter(on).map(coupler).collect();
    let lacks =
        |all: &[Figures], of: fn(&Figures) -> Option<f64>| all.iter().any(|f| of(f).is_none());
    let (t, c) = TYPICAL;
    let BitError { one_from_zero, zero_from_one } = t.readout;
    [
        (lacks(&one, |f| f.one_error), format!("one-qubit error {}", t.one_error)),
        (lacks(&two, |f| f.cz_error), format!("CZ error {}", c.error)),
        (lacks(&one, |f| f.t1_us), format!("T1 {} us", t.t1_us)),
        (lacks(&one, |f| f.t2_us), format!("T2 {} us", t.t2_us)),
        (lacks(&one, |f| f.one_ns), format!("one-qubit gate {} ns", t.one_ns)),
        (lacks(&two, |f| f.cz_ns), format!("CZ {} ns", c.cz_ns)),
        (
            lacks(&one, |f| f.readout.map(|r| r.one_from_zero)),
            format!("read-out 1|0 {one_from_zero}, 0|1 {zero_from_one}"),
        ),
        (one.iter().any(Figures::is_too_coherent), "T2 twice T1 where it is more".into()),
    ]
    .into_iter()
    .filter_map(|(lacking, words)| lacking.then_some(words))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none() -> QubitNoise {
        NoiseModel::none().qubit(0)
    }

    #[test]
    fn an_error_without_relaxation_is_the_textbook_depolarising() {
        let q = QubitNoise { one_error: 1e-3, ..none() };
        assert!((q.depolarising() - 1.5e-3).abs() < 1e-15);
        let c = CouplerNoise { error: 0.017, cz_ns: 200.0 };
        assert!((c.depolarising(&q, &q) - 1.25 * 0.017).abs() < 1e-15);
    }

    #[test]
    fn relaxation_is_part_of_the_published_error() {
        let q = QubitNoise { t1_us: 71.507, t2_us: 23.724, one_ns: 74.0, ..none() };
        let r = q.relaxation(217.0);
        let coherence = (1.0 - r.decay).sqrt() * (1.0 - 2.0 * r.flip);
        assert!((coherence - (-0.217_f64 / 23.724).exp()).abs() < 1e-15);
        let c = CouplerNoise { error: 0.017, cz_ns: 217.0 };
        let p = c.depolarising(&q, &q);
        assert!(p > 0.0 && p < 1.25 * 0.017);
        // Both together have the published fidelity.
        let kept = r.process_fidelity().powi(2);
        let share = p / (15.0 / 16.0);
        let process = (1.0 - share) * kept + share / 16.0;
        assert!(((4.0 * process + 1.0) / 5.0 - 0.983).abs() < 1e-12);
        // A one-qubit gate of 74 ns relaxes more than 1e-3 already.
        assert_eq!(QubitNoise { one_error: 1e-3, ..q }.depolarising(), 0.0);
    }

    #[test]
    fn overrides_come_before_calibration_and_calibration_before_typical_values() {
        let processor = Processor::from_json(
            r#"{"qubits_info": {"Q0": {"index": 0, "T1": 30.0}, "Q1": {"index": 1}},
                "couplers_info": {"C0": {"qubits_index": [0, 1], "fidelity": 0.9}}}"#,
        )
        .unwrap();
        let overrides = Figures { t2_us: Some(5.0), ..Figures::default() };
        let noise = NoiseModel::of(&processor, &overrides);
        assert_eq!((noise.qubit(0).t1_us, noise.qubit(1).t1_us), (30.0, TYPICAL.0.t1_us));
        assert_eq!((noise.qubit(0).t2_us, noise.qubit(9).t2_us), (5.0, 5.0));
        assert!((noise.coupler(1, 0).error - 0.1).abs() < 1e-12);
        let words = assumed(&processor, &[0, 1], &overrides).join("; ");
        assert!(words.contains("T1") && !words.contains("T2") && !words.contains("CZ error"));
    }
}
