//! What the server knows: chips, tasks, faults; and the thread that runs one task after another.

use super::chip_info::Chip;
use super::fault::{Fault, Route, Wrong, take};
use super::run::{Noise, Ran, Run, execute};
use qdllm_host::dates;
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Options {
    /// Port on 127.0.0.1; 0: any free one.
    pub port: u16,
    pub seed: u64,
    /// How long a task runs, besides what its simulation takes.
    pub delay: Duration,
    /// Tasks of others that stand in the queue at the start.
    pub queue: usize,
    pub chips: Vec<Chip>,
    /// Noise of real chips; simulators of the portal have none.
    pub noise: Noise,
    pub faults: Vec<Fault>,
    pub verbose: bool,
}

/// How far a task is, in words that both platforms use but for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskStatus {
    Queued,
    Running,
    Finished,
    Failed,
    Cancelled,
}

#[derive(Clone, Debug)]
pub struct Task {
    /// 19 digits: date and time, then a number.
    pub id: u64,
    pub name: String,
    pub chip: String,
    pub run: Run,
    pub status: TaskStatus,
    pub doomed: bool,
    pub times: (u64, Option<u64>),
    pub ran: Option<Ran>,
    pub error: String,
    /// It is somebody else's, and only takes time.
    pub foreign: bool,
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
    pub received: BTreeMap<&'static str, u64>,
}

pub struct Cloud {
    state: Mutex<State>,
    work: Condvar,
    seed: u64,
    delay: Duration,
    noise: Noise,
}

impl Cloud {
    pub fn start(options: Options) -> Arc<Self> {
        let state = State { faults: options.faults, chips: options.chips, ..State::default() };
        let cloud = Arc::new(Self {
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
            cloud.state().add("someone else's", "", run, false);
        }
        cloud.state().tasks.iter_mut().for_each(|t| t.foreign = true);
        let worker = Arc::clone(&cloud);
        std::thread::spawn(move || worker.work());
        cloud
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        // No code that holds the lock can leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

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
                match state.tasks.iter().position(|t| t.status == TaskStatus::Queued) {
                    Some(next) => break next,
                    None => {
                        state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                    }
                }
            };
            state.tasks[next].status = TaskStatus::Running;
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
            if task.status == TaskStatus::Running {
                task.times.1 = Some(dates::now_s());
                match result {
                    Ok(ran) => (task.status, task.ran) = (TaskStatus::Finished, Some(ran)),
                    Err(error) => (task.status, task.error) = (TaskStatus::Failed, error),
                }
            }
        }
    }
}

impl State {
    pub fn add(&mut self, name: &str, chip: &str, mut run: Run, doomed: bool) -> usize {
        let now = dates::now_s();
        let stamp = dates::beijing_time(now).strftime("%y%m%d%H%M%S").to_string();
        let stamp: u64 = stamp.parse().unwrap_or(0);
        run.occurrence = self.tasks.iter().filter(|t| t.run.circuit == run.circuit).count() as u64;
        self.tasks.push(Task {
            id: stamp * 10_000_000 + self.tasks.len() as u64 + 1,
            name: name.into(),
            chip: chip.into(),
            run,
            status: TaskStatus::Queued,
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

    pub fn task(&self, id: u64) -> Option<&Task> {
        self.tasks.iter().find(|t| t.id == id && !t.foreign)
    }

    pub fn queue(&self) -> usize {
        self.tasks
            .iter()
            .filter(|t| matches!(t.status, TaskStatus::Queued | TaskStatus::Running))
            .count()
    }
}

impl Task {
    /// Cancels it if it has not ended; whether it is cancelled now.
    pub fn cancel(&mut self) -> bool {
        if matches!(self.status, TaskStatus::Queued | TaskStatus::Running) {
            self.status = TaskStatus::Cancelled;
            self.times.1 = Some(dates::now_s());
        }
        self.status == TaskStatus::Cancelled
    }
}
