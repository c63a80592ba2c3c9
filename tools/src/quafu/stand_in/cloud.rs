//! What the server knows: chips, tasks, faults; and the thread that runs one task after another: compiled where
//! that is asked for, simulated, and sampled.

use super::request::{Fault, Route, Wrong, take};
use crate::circuit::{self, Circuit};
use crate::noise::{Figures, NoiseModel, Sampler};
use crate::processor::Processor;
use crate::transpile::source::Source;
use crate::transpile::{self, Plan, native};
use anyhow::{Context as _, Error, Result, bail, ensure};
use qdllm_host::dates;
use qdllm_runtime::circuit::QUBITS;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Chip {
    pub device: Processor,
    /// The information that it was read from, served as it is.
    pub info: Option<Value>,
    /// `Online`, or the word that is shown instead of the queue.
    pub status: String,
}

impl Chip {
    pub fn online(&self) -> bool {
        self.status == "Online"
    }
}

/// How far a task is, in the portal's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum TaskStatus {
    #[default]
    Queued,
    Running,
    Finished,
    Failed,
    Cancelled,
}

#[derive(Clone, Debug, Default)]
pub struct Task {
    /// 19 digits: date and time, then a number.
    pub id: u64,
    pub name: String,
    pub chip: String,
    pub circuit: String,
    pub shots: u32,
    /// Compile for the chip; else the qubits are the chip's own.
    pub compile: bool,
    /// The chip's qubit of each qubit of the circuit, where given.
    pub target_qubits: Vec<u8>,
    /// Numbers equal circuits, so that they get shots of their own.
    pub occurrence: u64,
    pub status: TaskStatus,
    pub doomed: bool,
    /// When it came, and when it ended.
    pub times: (u64, Option<u64>),
    pub ran: Option<Ran>,
    pub error: String,
    /// It is somebody else's, and only takes time.
    pub foreign: bool,
}

#[derive(Clone, Debug)]
pub struct Ran {
    pub counts: BTreeMap<String, u64>,
    pub executed: String,
    pub measures: Vec<(u8, u8)>,
    pub bits: usize,
}

#[derive(Clone, Debug)]
pub struct Group {
    pub id: String,
    pub client_ref: String,
    pub tasks: Vec<usize>,
}

#[derive(Debug, Default)]
pub struct State {
    pub tasks: Vec<Task>,
    pub groups: Vec<Group>,
    pub faults: Vec<Fault>,
    pub chips: Vec<Chip>,
    pub received: BTreeMap<Route, u64>,
}

pub struct Cloud {
    state: Mutex<State>,
    /// Told that there may be a task.
    pub work: Condvar,
    noise: Option<Figures>,
    delay: Duration,
    seed: u64,
}

impl Cloud {
    /// `noise` are figures that replace those of real chips' noise; `None`: no noise. Simulators of the portal have
    /// none. `delay` is how long a task runs, besides what its simulation takes.
    pub fn start(state: State, noise: Option<Figures>, delay: Duration, seed: u64) -> Arc<Self> {
        let (state, work) = (Mutex::new(state), Condvar::new());
        let cloud = Arc::new(Self { state, work, noise, delay, seed });
        let worker = Arc::clone(&cloud);
        std::thread::spawn(move || worker.work());
        cloud
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        // No code that holds the lock can leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request; the fault that happens to it.
    pub fn received(&self, route: Route) -> Option<Wrong> {
        let mut state = self.state();
        *state.received.entry(route).or_default() += 1;
        take(&mut state.faults, route)
    }

    fn work(&self) {
        let queued = |t: &Task| t.status == TaskStatus::Queued;
        loop {
            let none = |s: &mut State| !s.tasks.iter().any(queued);
            let state = self.work.wait_while(self.state(), none);
            let mut state = state.unwrap_or_else(PoisonError::into_inner);
            let Some(next) = state.tasks.iter().position(queued) else { continue };
            state.tasks[next].status = TaskStatus::Running;
            let task = state.tasks[next].clone();
            let chip = state.chip_of(&task.chip).cloned();
            drop(state);
            std::thread::sleep(self.delay);
            let result = if task.foreign {
                Err(Error::msg(""))
            } else if task.doomed {
                Err(Error::msg("the control electronics lost synchronisation"))
            } else {
                execute(&task, chip.as_ref(), self.noise, self.seed)
            };
            let task = &mut self.state().tasks[next];
            // Cancelled meanwhile: what it measured is thrown away.
            if task.status == TaskStatus::Running {
                task.times.1 = Some(dates::now_s());
                match result {
                    Ok(ran) => (task.status, task.ran) = (TaskStatus::Finished, Some(ran)),
                    Err(e) => (task.status, task.error) = (TaskStatus::Failed, e.to_string()),
                }
            }
        }
    }
}

impl State {
    /// Adds a task to the queue; its index.
    pub fn add(&mut self, task: Task) -> usize {
        let (now, index) = (dates::now_s(), self.tasks.len());
        let stamp = dates::beijing_time(now).strftime("%y%m%d%H%M%S").to_string();
        let stamp: u64 = stamp.parse().unwrap_or(0);
        let equal = self.tasks.iter().filter(|t| t.circuit == task.circuit).count();
        self.tasks.push(Task {
            id: stamp * 10_000_000 + index as u64 + 1,
            occurrence: equal as u64,
            times: (now, None),
            ..task
        });
        index
    }

    pub fn chip(&self, name: &str) -> Option<&Chip> {
        self.chips.iter().find(|c| c.device.name == name)
    }

    /// The chip of that name, or that the simulator of that name stands for.
    pub fn chip_of(&self, target: &str) -> Option<&Chip> {
        self.chip(target).or_else(|| self.chip(target.strip_suffix("-sim")?))
    }

    pub fn queue(&self) -> usize {
        self.tasks.iter().filter(|t| t.waits()).count()
    }
}

impl Task {
    /// Whether it is queued or running.
    pub fn waits(&self) -> bool {
        matches!(self.status, TaskStatus::Queued | TaskStatus::Running)
    }

    /// Cancels it if it has not ended; whether it is cancelled now.
    pub fn cancel(&mut self) -> bool {
        if self.waits() {
            self.status = TaskStatus::Cancelled;
            self.times.1 = Some(dates::now_s());
        }
        self.status == TaskStatus::Cancelled
    }

    /// What was counted; too long bit strings where that was asked for.
    pub fn counts(&self, wrong: Option<Wrong>) -> BTreeMap<String, u64> {
        let counts = self.ran.as_ref().map(|r| r.counts.clone()).unwrap_or_default();
        if wrong == Some(Wrong::Long) {
            return counts.into_iter().map(|(k, n)| (format!("0{k}"), n)).collect();
        }
        counts
    }
}

/// Runs a circuit on a chip, or on a simulator without couplings; else says why the task failed.
fn execute(task: &Task, chip: Option<&Chip>, noise: Option<Figures>, seed: u64) -> Result<Ran> {
    let mut circuit = circuit::read(&task.circuit)?;
    ensure!(!circuit.measures.is_empty(), "the circuit measures nothing");
    let mut model = NoiseModel::none();
    if let Some(chip) = chip {
        if task.compile {
            circuit = compiled(circuit, chip)?;
        } else {
            circuit = moved(circuit, &task.target_qubits)?;
            native::check(&circuit, &chip.device)?;
        }
        if let Some(overrides) = noise {
            model = NoiseModel::of(&chip.device, &overrides);
        }
    }
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(task.occurrence.to_le_bytes());
    hash.update(task.shots.to_le_bytes());
    hash.update(task.circuit.as_bytes());
    let seed = hash.finalize().iter().take(8).fold(0, |n, &byte| n << 8 | u64::from(byte));
    let sampler = Sampler::new(&circuit, &model)?;
    Ok(Ran {
        counts: sampler.counts(task.shots.into(), seed),
        executed: circuit.write(),
        measures: circuit.measures,
        bits: circuit.bits,
    })
}

/// The circuit laid out on the chip, one circuit whose every bit is read as it was.
fn compiled(circuit: Circuit, chip: &Chip) -> Result<Circuit> {
    let qubits = circuit.used().len();
    ensure!(qubits <= QUBITS, "{qubits} qubits; {QUBITS} can be compiled here");
    let mut bits: Vec<u8> = circuit.measures.iter().map(|m| m.1).collect();
    bits.sort_unstable();
    let source = Source::from_circuit(&circuit)?;
    let options = transpile::Options { rewrite: false, tries: 20, ..transpile::Options::default() };
    let plan = Plan::new(source, &chip.device, options)?;
    let mut all = plan.compile(&[])?;
    let first = all.pop().context("nothing was compiled")?;
    // Output `i` of the source is its `i`-th bit; here each is one measured bit.
    let qubit = |bit: u8| first.circuit.measures.iter().find(|m| m.1 == bit).map(|m| m.0);
    let mut measures = Vec::new();
    for (readout, &bit) in first.readouts.iter().zip(&bits) {
        match (readout.bits.as_slice(), readout.negated) {
            (&[only], false) => measures.extend(qubit(only).map(|q| (q, bit))),
            _ => bail!("a bit would be read from several qubits"),
        }
    }
    Ok(Circuit { bits: circuit.bits, measures, ..first.circuit })
}

/// The circuit on the chip's qubits that `targets` gives; without any, its own numbers are the chip's.
fn moved(mut circuit: Circuit, targets: &[u8]) -> Result<Circuit> {
    if targets.is_empty() {
        return Ok(circuit);
    }
    let to = |q: u8| targets.get(q as usize).copied().context("target_qubits are too few");
    for gate in &mut circuit.gates {
        let [a, b] = gate.qubits;
        gate.qubits = [to(a)?, to(b)?];
    }
    let fences = circuit.barriers.iter_mut().flat_map(|(_, qubits)| qubits);
    for qubit in fences.chain(circuit.measures.iter_mut().map(|m| &mut m.0)) {
        *qubit = to(*qubit)?;
    }
    circuit.qubits = targets.iter().max().map_or(0, |&q| q as usize + 1);
    Ok(circuit)
}
