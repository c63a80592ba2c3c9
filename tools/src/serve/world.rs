//! What the server knows: chips, tasks, faults; and the thread that runs one task after another.

use super::chip::Chip;
use super::execute::{Ran, Run, execute};
use super::fault::{Fault, Route, Wrong, take};
use super::{Noise, Options};
use crate::cloud::clock;
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How far a task is, in words that both platforms use but for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Waits for its turn.
    Queued,
    /// Runs.
    Running,
    /// Has a result.
    Finished,
    /// Has an error.
    Failed,
    /// Was cancelled.
    Cancelled,
}

/// One circuit that was submitted.
#[derive(Clone, Debug)]
pub struct Task {
    /// 19 digits: date and time, then a number.
    pub id: u64,
    /// The name that the client gave.
    pub name: String,
    /// The chip, or the portal's target.
    pub chip: String,
    /// What to run.
    pub run: Run,
    /// How far it is.
    pub word: Word,
    /// Will fail.
    pub doomed: bool,
    /// When it was submitted and ended, seconds since 1970.
    pub times: (u64, Option<u64>),
    /// What came out.
    pub ran: Option<Ran>,
    /// Why it failed.
    pub error: String,
    /// It is somebody else's, and only takes time.
    pub foreign: bool,
}

/// A job of the portal.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its id.
    pub id: String,
    /// The client's own id.
    pub client_ref: String,
    /// Indices of its tasks.
    pub tasks: Vec<usize>,
}

/// Everything that changes.
#[derive(Debug, Default)]
pub struct State {
    /// All tasks, in order of submission.
    pub tasks: Vec<Task>,
    /// The portal's jobs.
    pub groups: Vec<Group>,
    /// Faults that are waiting to happen.
    pub faults: Vec<Fault>,
    /// Chips.
    pub chips: Vec<Chip>,
    /// Requests received, by route.
    pub received: BTreeMap<&'static str, u64>,
}

/// The server's world.
pub struct World {
    state: Mutex<State>,
    work: Condvar,
    seed: u64,
    delay: Duration,
    noise: Noise,
}

impl World {
    /// The world at the start, with its working thread.
    pub fn start(options: Options) -> Arc<Self> {
        let state = State { faults: options.faults, chips: options.chips, ..State::default() };
        let world = Arc::new(Self {
            state: Mutex::new(state),
            work: Condvar::new(),
            seed: options.seed,
            delay: options.delay,
            noise: options.noise,
        });
        for _ in 0..options.queue {
            let run = Run {
                circuit: String::new(),
                shots: 0,
                compile: false,
                target_qubits: Vec::new(),
                occurrence: 0,
            };
            world.state().add("someone else's", "", run, false);
        }
        world.state().tasks.iter_mut().for_each(|t| t.foreign = true);
        let worker = Arc::clone(&world);
        std::thread::spawn(move || worker.work());
        world
    }

    /// What it knows now.
    pub fn state(&self) -> MutexGuard<'_, State> {
        // No code that holds the lock can leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the working thread that there is something to do.
    pub fn wake(&self) {
        self.work.notify_one();
    }

    /// Notes a request; the fault that happens to it.
    pub fn received(&self, route: Route) -> Option<Wrong> {
        let mut state = self.state();
        *state.received.entry(route.name()).or_default() += 1;
        take(&mut state.faults, route)
    }

    fn work(&self) {
        loop {
            let mut state = self.state();
            let next = loop {
                match state.tasks.iter().position(|t| t.word == Word::Queued) {
                    Some(next) => break next,
                    None => {
                        state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                    }
                }
            };
            state.tasks[next].word = Word::Running;
            let task = state.tasks[next].clone();
            let chip = state.chip_of(&task.chip).cloned();
            drop(state);
            std::thread::sleep(self.delay);
            let result = if task.foreign {
                Err(String::new())
            } else if task.doomed {
                Err("the control electronics lost synchronisation".into())
            } else {
                let noise = self.noise;
                execute(&task.run, chip.as_ref(), noise, self.seed)
            };
            let mut state = self.state();
            let task = &mut state.tasks[next];
            // Cancelled meanwhile: what it measured is thrown away.
            if task.word == Word::Running {
                task.times.1 = Some(clock::now_s());
                match result {
                    Ok(ran) => (task.word, task.ran) = (Word::Finished, Some(ran)),
                    Err(error) => (task.word, task.error) = (Word::Failed, error),
                }
            }
        }
    }
}

impl State {
    /// Adds a task; its index.
    pub fn add(&mut self, name: &str, chip: &str, mut run: Run, doomed: bool) -> usize {
        let now = clock::now_s();
        let clock::Civil { date: (year, month, day), time: (hour, minute, second) } =
            clock::beijing(now);
        let stamp = [year % 100, month, day, hour, minute, second];
        let stamp = stamp.iter().fold(0, |n, &part| n * 100 + part as u64);
        run.occurrence = self.tasks.iter().filter(|t| t.run.circuit == run.circuit).count() as u64;
        self.tasks.push(Task {
            id: stamp * 10_000_000 + self.tasks.len() as u64 + 1,
            name: name.into(),
            chip: chip.into(),
            run,
            word: Word::Queued,
            doomed,
            times: (now, None),
            ran: None,
            error: String::new(),
            foreign: false,
        });
        self.tasks.len() - 1
    }

    /// The chip of that name, or that the simulator of that name stands for.
    pub fn chip_of(&self, target: &str) -> Option<&Chip> {
        self.chips.iter().find(|c| c.name == target || format!("{}-sim", c.name) == target)
    }

    /// A task by its id.
    pub fn task(&self, id: u64) -> Option<&Task> {
        self.tasks.iter().find(|t| t.id == id && !t.foreign)
    }

    /// Tasks that wait or run.
    pub fn queue(&self) -> usize {
        self.tasks.iter().filter(|t| matches!(t.word, Word::Queued | Word::Running)).count()
    }
}

impl Task {
    /// Cancels it if it has not ended; whether it is cancelled now.
    pub fn cancel(&mut self) -> bool {
        if matches!(self.word, Word::Queued | Word::Running) {
            self.word = Word::Cancelled;
            self.times.1 = Some(clock::now_s());
        }
        self.word == Word::Cancelled
    }
}
