//! Calls of gates, and the gates of the table that they come to.

use super::expression::{Expression, finite, number, value};
use super::{Circuit, MAX_NAMED};
use crate::circuit::affine::Affine;
use crate::circuit::gate::{Angle, Gate, GateKind, Generator};
use crate::math::round;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

/// Most calls that a text may come to: definitions that use each other grow without bound.
const MAX_CALLS: usize = 1 << 20;
/// Definitions that may stand one in the other; each costs stack.
pub(super) const MAX_DEPTH: usize = 64;
/// Most controls that `ctrl @` may give a gate; each costs stack.
const MAX_CONTROLS: usize = 16;
/// Numbers from here on stand for inputs while an angle is read.
pub(super) const INPUTS: u16 = u16::MAX - 255;

#[derive(Clone, Copy, Default)]
pub(super) enum Target {
    Gate(GateKind),
    /// Its place among the definitions.
    Defined(usize),
    #[default]
    Barrier,
    GlobalPhase,
}

/// A statement that calls a gate.
#[derive(Default)]
pub(super) struct Call {
    pub target: Target,
    pub angles: Vec<Expression>,
    /// Of the circuit, one or a register's each; in a definition, one each by its place.
    pub operands: Vec<Vec<u8>>,
    pub inverse: bool,
    /// Empty: once.
    pub power: Expression,
    /// One for each control, in front of the gate's own qubits: whether it acts where that is 1.
    pub controls: Vec<bool>,
}

/// A gate definition.
pub(super) struct Definition {
    pub name: String,
    pub angles: usize,
    pub qubits: usize,
    /// How many definitions stand one in the other, this one included.
    pub depth: usize,
    /// None: it is opaque.
    pub body: Option<Vec<Call>>,
    /// Its words, with spaces between.
    pub text: String,
}

/// The circuit so far, and what may be called.
#[derive(Default)]
pub(super) struct Expander {
    pub circuit: Circuit,
    pub definitions: Vec<Rc<Definition>>,
    /// The definitions of the library, which come first, by name.
    pub library: BTreeMap<String, usize>,
    calls: usize,
}

impl Expander {
    /// Does what `call` says to `qubits`, where the qubits `controls` are all 1; `outer` are the angles that
    /// the gate around it is given.
    pub fn call(
        &mut self,
        call: &Call,
        outer: &[Affine],
        qubits: &[u8],
        controls: &[u8],
        inverse: bool,
    ) -> Result<(), String> {
        let angles = call.angles.iter().map(|angle| value(angle, outer));
        let angles: Vec<Affine> = angles.collect::<Result<_, _>>()?;
        let power = match &call.power[..] {
            [] => 1.0,
            power => number(&value(power, outer)?)?,
        };
        let inverse = inverse ^ call.inverse ^ (power < 0.0);
        let (own, on) = qubits.split_at(call.controls.len());
        let controls = [controls, own].concat();
        let zeros = own.iter().zip(&call.controls).filter(|(_, one)| !**one).map(|(q, _)| *q);
        let zeros: Vec<u8> = zeros.collect();
        let flip = |this: &mut Self| {
            zeros
                .iter()
                .try_for_each(|&q| this.apply(Target::Gate(GateKind::X), &[], &[q], &[], false))
        };
        flip(self)?;
        let (target, angles, times) = powered(call.target, angles, power.abs())?;
        for _ in 0..times {
            self.apply(target, &angles, on, &controls, inverse)?;
        }
        flip(self)
    }

    fn apply(
        &mut self,
        target: Target,
        angles: &[Affine],
        qubits: &[u8],
        controls: &[u8],
        inverse: bool,
    ) -> Result<(), String> {
        self.calls += 1;
        if self.calls > MAX_CALLS {
            return Err(format!("the definitions come to more than {MAX_CALLS} gates"));
        }
        if controls.len() > MAX_CONTROLS {
            return Err(format!("more than {MAX_CONTROLS} controls of one gate"));
        }
        match (target, controls.split_last()) {
            (Target::Barrier, _) => self.barrier(qubits),
            (Target::GlobalPhase, None) => {}
            (Target::GlobalPhase, Some((&last, rest))) => {
                self.apply(Target::Gate(GateKind::P), angles, &[last], rest, inverse)?;
            }
            (Target::Gate(kind), None) => self.gate(kind, angles, qubits, inverse)?,
            (_, Some((&last, rest))) if self.controlled(target).is_some() => {
                let target = self.controlled(target).unwrap_or(target);
                self.apply(target, angles, &[&[last], qubits].concat(), rest, inverse)?;
            }
            (Target::Gate(kind), _) => {
                let own = self.library.get(kind.info().name).copied().unwrap_or(0);
                self.body(own, angles, qubits, controls, inverse)?;
            }
            (Target::Defined(own), _) => self.body(own, angles, qubits, controls, inverse)?,
        }
        Ok(())
    }

    /// The gate that is `target` with one control more, where the table or the library has it.
    fn controlled(&self, target: Target) -> Option<Target> {
        let name = match target {
            // The library's `cu` has a fourth angle.
            Target::Gate(GateKind::U) => "u3",
            Target::Gate(kind) => kind.info().name,
            Target::Defined(own) if own < self.library.len() => &self.definitions[own].name,
            _ => return None,
        };
        self.known(&format!("c{name}"))
    }

    /// A gate of the table or of the library.
    pub fn known(&self, name: &str) -> Option<Target> {
        let defined = || self.library.get(name).map(|&own| Target::Defined(own));
        GateKind::named(name).map(Target::Gate).or_else(defined)
    }

    fn body(
        &mut self,
        own: usize,
        angles: &[Affine],
        qubits: &[u8],
        controls: &[u8],
        inverse: bool,
    ) -> Result<(), String> {
        let definition = self.definitions[own].clone();
        let opaque =
            || format!("`{}` is opaque: the file does not say what it does", definition.name);
        let body = definition.body.as_ref().ok_or_else(opaque)?;
        let mut one = |call: &Call| {
            let on: Vec<u8> = call.operands.iter().map(|q| qubits[q[0] as usize]).collect();
            self.call(call, angles, &on, controls, inverse)
        };
        if inverse {
            body.iter().rev().try_for_each(&mut one)
        } else {
            body.iter().try_for_each(one)
        }
    }

    fn barrier(&mut self, qubits: &[u8]) {
        self.calls += qubits.len();
        let mut qubits = qubits.to_vec();
        qubits.sort_unstable();
        qubits.dedup();
        self.circuit.barriers.push((self.circuit.gates.len(), qubits));
    }

    fn gate(
        &mut self,
        kind: GateKind,
        angles: &[Affine],
        qubits: &[u8],
        inverse: bool,
    ) -> Result<(), String> {
        let kind = if inverse { kind.inverse() } else { kind };
        let mut read = [Angle::Const(0.0); 3];
        for (to, angle) in read.iter_mut().zip(angles) {
            let sign = if inverse { -1.0 } else { 1.0 };
            *to = self.angle(angle.clone().scaled(sign))?;
        }
        if inverse && kind == GateKind::U {
            read.swap(1, 2);
        }
        let qubits = [qubits[0], qubits[qubits.len() - 1]];
        self.circuit.gates.push(Gate { kind, qubits, angles: read });
        Ok(())
    }

    fn angle(&mut self, affine: Affine) -> Result<Angle, String> {
        if let Some(&(input, _)) = affine.terms.iter().find(|(p, _)| *p >= INPUTS) {
            if affine != Affine::parameter(input) {
                return Err("an input stands alone: `rx(x0)`".into());
            }
            return Ok(Angle::Input((input - INPUTS) as u8));
        }
        if affine.terms.is_empty() {
            return Ok(Angle::Const(affine.constant));
        }
        let angles = &mut self.circuit.angles;
        let known = angles.iter().position(|a| *a == affine);
        let place = known.unwrap_or(angles.len());
        if place == MAX_NAMED {
            return Err(format!("more than {MAX_NAMED} different angles with names in them"));
        }
        if known.is_none() {
            angles.push(affine);
        }
        Ok(Angle::Param(place as u16))
    }
}

/// What a power of a gate is: the same gate so many times, or once with another angle.
fn powered(
    target: Target,
    angles: Vec<Affine>,
    power: f64,
) -> Result<(Target, Vec<Affine>, usize), String> {
    if round(power) == power {
        return Ok((target, angles, power as usize));
    }
    let generator = match target {
        Target::Gate(kind) => kind.info().generator,
        Target::GlobalPhase => Generator::Phase,
        _ => Generator::None,
    };
    let (target, angle) = match (generator, target) {
        (Generator::None, _) => {
            return Err("only rotations and phases have powers that are no whole numbers".into());
        }
        (Generator::Phase, Target::Gate(kind)) if angles.is_empty() => {
            let phase = if kind.info().qubits == 1 { GateKind::P } else { GateKind::Cp };
            (Target::Gate(phase), Affine::constant(kind.info().turn))
        }
        _ => (target, angles.into_iter().next().unwrap_or_default()),
    };
    Ok((target, Vec::from([finite(angle.scaled(power))?]), 1))
}
