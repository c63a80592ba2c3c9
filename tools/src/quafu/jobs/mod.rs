//! Jobs on a quantum cloud, kept on disk so that any step can be repeated after any end of the program.
//!
//! The store is a folder of batches. A batch is a folder with a lock: `batch.json`, written once, and one file a job, each
//! whole after a power cut. A job goes
//! `ready -> sending -> submitted -> finished | failed | cancelled`. `sending` is on disk before the
//! request leaves; a program that finds it there asks the platform what became of it.

pub mod results;
pub mod run;

use super::{Kind, Order};
use crate::readout::{BitError, Readout};
use crate::texts::Text;
use anyhow::{Context as _, Error, Result, anyhow, bail, ensure};
use qdllm_host::dates;
use qdllm_host::errors::OfFile as _;
use qdllm_host::files::{sync_folder, write_durable};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

pub const VERSION: u32 = 1;

/// What all jobs of a batch share. Written once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    pub version: u32,
    /// Its name, and its folder's: made from what was asked for, so that asking again finds it.
    pub id: String,
    /// When it was made, milliseconds since 1970.
    pub created_ms: u64,
    pub platform: Kind,
    pub url: String,
    pub chip: String,
    pub shots: u32,
    /// Circuits are on the chip's own qubits and are not compiled there.
    pub physical: bool,
    pub jobs: usize,
    pub work: Work,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Work {
    Circuit {
        file: PathBuf,
    },
    Model {
        model: PathBuf,
        sha256: String,
        /// The texts, in order; a job's `item` counts them. Line 0: from the command line.
        texts: Vec<Text>,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    pub version: u32,
    /// Its place in the batch, from 1, and its file's name.
    pub number: usize,
    pub name: String,
    /// The task's UUID, by which the portal recognises a repeated submission.
    pub client_ref: String,
    /// Which text or circuit it belongs to, from 0.
    pub item: usize,
    pub weight: f64,
    /// The source's outputs from the measured bits.
    pub readouts: Vec<Readout>,
    pub bits: usize,
    /// How each classical bit is misread, as the chip's calibration said when the batch was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bit_errors: Option<Vec<BitError>>,
    pub qasm: String,
    #[serde(flatten)]
    pub state: State,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Attempt>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum State {
    Ready,
    /// Being sent, or was when the program ended.
    Sending {
        since_s: u64,
        /// What came back with a success, but was no task.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answer: Option<String>,
    },
    Submitted {
        task: String,
        at_s: u64,
    },
    Finished {
        task: String,
        at_s: u64,
        /// How often each bit string was seen, as the platform gave it; rightmost character `c[0]`.
        counts: BTreeMap<String, u64>,
        details: Value,
    },
    Failed {
        task: String,
        at_s: u64,
        error: String,
    },
    Cancelled {
        task: Option<String>,
    },
}

impl State {
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Sending { .. } => "sending",
            Self::Submitted { .. } => "submitted",
            Self::Finished { .. } => "finished",
            Self::Failed { .. } => "failed",
            Self::Cancelled { .. } => "cancelled",
        }
    }

    pub const fn unsent(&self) -> bool {
        matches!(self, Self::Ready | Self::Sending { .. })
    }

    pub const fn submitted(&self) -> bool {
        matches!(self, Self::Submitted { .. })
    }

    pub fn task(&self) -> Option<&str> {
        match self {
            Self::Ready | Self::Sending { .. } => None,
            Self::Submitted { task, .. }
            | Self::Finished { task, .. }
            | Self::Failed { task, .. } => Some(task),
            Self::Cancelled { task } => task.as_deref(),
        }
    }

    pub const fn at_s(&self) -> Option<u64> {
        match self {
            Self::Submitted { at_s, .. }
            | Self::Finished { at_s, .. }
            | Self::Failed { at_s, .. } => Some(*at_s),
            _ => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    pub name: String,
    pub task: String,
    pub at_s: u64,
    pub error: String,
}

impl Job {
    pub fn order<'a>(&'a self, batch: &'a Batch) -> Order<'a> {
        Order {
            name: &self.name,
            client_ref: &self.client_ref,
            chip: &batch.chip,
            shots: batch.shots,
            qasm: &self.qasm,
            physical: batch.physical,
        }
    }

    /// Makes a failed job ready again, under a new name; whether it had failed.
    pub fn again(&mut self) -> bool {
        let State::Failed { task, at_s, error } = self.state.clone() else { return false };
        let first = self.earlier.first().map_or(&self.name, |a| &a.name);
        let name = format!("{first}-r{}", self.earlier.len() + 2);
        let name = std::mem::replace(&mut self.name, name);
        self.earlier.push(Attempt { name, task, at_s, error });
        (self.client_ref, self.state) = (uuid(), State::Ready);
        true
    }
}

pub fn uuid() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// At most 32 random digits.
pub fn random_hex(digits: usize) -> String {
    let mut text = uuid::Uuid::new_v4().simple().to_string();
    text.truncate(digits);
    text
}

const BATCH: &str = "batch.json";
const LOCK: &str = "lock";
/// Begins the name of what is not in its place yet.
const UNFINISHED: &str = ".new-";

/// The store in a folder, which need not exist yet.
#[derive(clap::Args, Clone, Debug)]
pub struct Store {
    /// Folder of the job files
    #[arg(long = "store", value_name = "FOLDER", env = "QDLLM_JOBS", default_value = "qdllm-jobs")]
    pub folder: PathBuf,
}

/// A batch that no other process works on.
#[derive(Debug)]
pub struct Open {
    path: PathBuf,
    pub batch: Batch,
    pub jobs: Vec<Job>,
    /// Tasks of other batches.
    pub others: BTreeSet<String>,
    _lock: File,
}

impl Store {
    pub fn has(&self, id: &str) -> bool {
        self.folder.join(id).join(BATCH).is_file()
    }

    /// Makes a batch: all of it or, after any end of the program, nothing. One of that name that another
    /// process made meanwhile is as good.
    pub fn create(&self, batch: &Batch, jobs: &[Job]) -> Result<()> {
        fs::create_dir_all(&self.folder).of_file(&self.folder)?;
        self.sweep();
        let aside = tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(&self.folder);
        let aside = aside.of_file(&self.folder)?;
        let lock = File::create(aside.path().join(LOCK)).of_file(&self.folder)?;
        lock.try_lock().map_err(|_| locked(aside.path()))?;
        for job in jobs {
            write(&aside.path().join(file_name(job.number)), job)?;
        }
        write(&aside.path().join(BATCH), batch)?;
        let target = self.folder.join(&batch.id);
        match fs::rename(aside.path(), &target) {
            // Nothing is left under the old name for the guard to remove.
            Ok(()) => drop(aside.keep()),
            Err(_) if self.has(&batch.id) => {}
            failed => failed.of_file(&target)?,
        }
        sync_folder(&self.folder).of_file(&self.folder)
    }

    /// Removes what processes that ended early left behind.
    fn sweep(&self) {
        for path in entries(&self.folder).unwrap_or_default().iter().filter(|p| unfinished(p)) {
            // Whoever still writes there holds the lock.
            if File::open(path.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok()) {
                let _ = fs::remove_dir_all(path);
            }
        }
    }

    /// All batches, the oldest first, and what is wrong with those that cannot be read.
    pub fn batches(&self) -> Result<(Vec<Batch>, Vec<Error>)> {
        if self.folder.try_exists().is_ok_and(|there| !there) {
            return Ok(Default::default());
        }
        let paths = entries(&self.folder)?;
        let whole = paths.iter().filter(|p| !unfinished(p) && p.join(BATCH).is_file());
        let (mut all, mut damaged) = (Vec::new(), Vec::new());
        for batch in whole.map(|p| batch_in(p)) {
            batch.map_or_else(|why| damaged.push(why), |batch| all.push(batch));
        }
        all.sort_by(|a, b| (a.created_ms, &a.id).cmp(&(b.created_ms, &b.id)));
        Ok((all, damaged))
    }

    /// The name of the batch that `wanted` begins, or of the newest.
    pub fn find(&self, wanted: Option<&str>) -> Result<String> {
        let (mut all, mut damaged) = self.batches()?;
        let Some(wanted) = wanted else {
            // It may be the newest.
            damaged.pop().map_or(Ok(()), Err)?;
            return all.pop().map(|b| b.id).with_context(|| {
                format!("{} holds no batch; `qdllm-hw submit` makes one", self.folder.display())
            });
        };
        if self.has(wanted) {
            return Ok(wanted.into());
        }
        let mut begun = all.into_iter().filter(|b| b.id.starts_with(wanted));
        match (begun.next(), begun.next()) {
            (Some(only), None) => Ok(only.id),
            _ if !damaged.is_empty() => Err(damaged.swap_remove(0)),
            _ => bail!(
                "no batch `{wanted}` in {}; `qdllm-hw status` lists them",
                self.folder.display()
            ),
        }
    }

    pub fn read(&self, id: &str) -> Result<(Batch, Vec<Job>)> {
        let path = self.folder.join(id);
        let batch = batch_in(&path)?;
        let jobs = (1..=batch.jobs).map(|n| read(&path.join(file_name(n))));
        Ok((batch, jobs.collect::<Result<_>>()?))
    }

    pub fn open(&self, id: &str) -> Result<Open> {
        let path = self.folder.join(id);
        let lock_path = path.join(LOCK);
        let lock = File::options().append(true).create(true).open(&lock_path);
        let lock = lock.of_file(&lock_path)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(locked(&path)),
            Err(TryLockError::Error(e)) => return Err(e).of_file(&lock_path),
        }
        // Files that a process that ended early did not get to rename.
        for left in entries(&path)?.iter().filter(|p| unfinished(p)) {
            let _ = fs::remove_file(left);
        }
        let (batch, jobs) = self.read(id)?;
        Ok(Open { path, batch, jobs, others: BTreeSet::new(), _lock: lock })
    }

    /// Tasks submitted to the batch's platform and address since midnight in Beijing, over all batches; and all tasks of
    /// the others.
    pub fn sent(&self, like: &Batch) -> Result<(u32, BTreeSet<String>)> {
        let today = dates::beijing_time(dates::now_s()).date();
        let (mut used, mut tasks) = (0, BTreeSet::new());
        let (all, mut damaged) = self.batches()?;
        damaged.pop().map_or(Ok(()), Err)?;
        for batch in all {
            if (batch.platform, &batch.url) != (like.platform, &like.url) {
                continue;
            }
            for job in self.read(&batch.id)?.1 {
                if batch.id != like.id {
                    tasks.extend(job.state.task().map(String::from));
                }
                let earlier = job.earlier.iter().map(|a| a.at_s);
                let all = job.state.at_s().into_iter().chain(earlier);
                used += all.filter(|&s| dates::beijing_time(s).date() == today).count() as u32;
            }
        }
        Ok((used, tasks))
    }
}

impl Open {
    /// A job's new state, on disk when this returns.
    pub fn set(&mut self, index: usize, state: State) -> Result<()> {
        self.jobs[index].state = state;
        self.save(index)
    }

    pub fn save(&self, index: usize) -> Result<()> {
        let job = &self.jobs[index];
        write(&self.path.join(file_name(job.number)), job)
    }

    /// What a task belongs to already.
    pub fn holder(&self, task: &str) -> Option<&str> {
        let had = |job: &&Job| job.earlier.iter().any(|a| a.task == task);
        let job = self.jobs.iter().find(|job| job.state.task() == Some(task) || had(job));
        let other = || self.others.contains(task).then_some("another batch");
        job.map(|job| &*job.name).or_else(other)
    }

    pub fn count(&self, of: fn(&State) -> bool) -> usize {
        self.jobs.iter().filter(|j| of(&j.state)).count()
    }
}

fn file_name(number: usize) -> String {
    format!("{number:05}.json")
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).of_file(folder)?;
    Ok(entries.flatten().map(|e| e.path()).collect())
}

fn locked(path: &Path) -> Error {
    anyhow!("{}: another qdllm-hw works on this batch; wait for it, or end it", path.display())
}

fn unfinished(path: &Path) -> bool {
    path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with(UNFINISHED))
}

fn batch_in(path: &Path) -> Result<Batch> {
    let path = path.join(BATCH);
    let batch: Batch = read(&path)?;
    let (file, version) = (path.display(), batch.version);
    ensure!(version == VERSION, "{file}: version {version}; this program reads version {VERSION}");
    Ok(batch)
}

/// Writes `value`. At any moment the file is the old one or the new one.
fn write(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(value).of_file(path)?;
    text.push(b'\n');
    write_durable(path, &text, UNFINISHED).of_file(path)
}

pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read_to_string(path).of_file(path)?;
    serde_json::from_str(&text).of_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_job_gets_a_new_name_each_time() {
        let mut job = Job {
            version: VERSION,
            number: 1,
            name: "qd-1".into(),
            client_ref: uuid(),
            item: 0,
            weight: 1.0,
            readouts: Vec::new(),
            bits: 1,
            bit_errors: None,
            qasm: String::new(),
            state: State::Failed { task: "7".into(), at_s: 1, error: "too hot".into() },
            earlier: Vec::new(),
        };
        let old = job.client_ref.clone();
        assert!(job.again() && !job.again());
        assert_eq!((job.name.as_str(), &job.state), ("qd-1-r2", &State::Ready));
        assert_ne!(job.client_ref, old);
        job.state = State::Failed { task: "8".into(), at_s: 2, error: "too cold".into() };
        job.again();
        assert_eq!(job.name, "qd-1-r3");
        let text = serde_json::to_string(&job).unwrap();
        assert!(text.contains(r#""state":"ready""#), "{text}");
        assert_eq!(serde_json::from_str::<Job>(&text).unwrap(), job);
    }

    #[test]
    fn uuids_have_the_form() {
        let id = uuid();
        assert_eq!(id.len(), 36);
        assert_eq!(&id[14..15], "4");
        assert!("89ab".contains(&id[19..20]));
        assert_ne!(id, uuid());
    }
}
