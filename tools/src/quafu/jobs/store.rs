//! The store: a folder of batches, each a folder of JSON files with a lock. Each file is whole after a power cut.

use super::{Batch, Job, JobError, State, VERSION};
use qdllm_host::dates;
use qdllm_host::files::{sync_folder, write_durable};
use serde::{Serialize, de::DeserializeOwned};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

const BATCH: &str = "batch.json";
const LOCK: &str = "lock";
/// Begins the name of what is not in its place yet.
const UNFINISHED: &str = ".new-";

/// The store in a folder, which need not exist yet.
#[derive(Clone, Debug)]
pub struct Store(pub PathBuf);

/// A batch that no other process works on.
#[derive(Debug)]
pub struct Open {
    path: PathBuf,
    pub batch: Batch,
    pub jobs: Vec<Job>,
    _lock: File,
}

impl Store {
    pub fn has(&self, id: &str) -> bool {
        self.0.join(id).join(BATCH).is_file()
    }

    /// Makes a batch: all of it or, after any end of the program, nothing. One of that name that another
    /// process made meanwhile is as good.
    pub fn create(&self, batch: &Batch, jobs: &[Job]) -> Result<(), JobError> {
        let failed = JobError::of(&self.0);
        fs::create_dir_all(&self.0).map_err(&failed)?;
        self.sweep();
        let aside = tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(&self.0);
        let aside = aside.map_err(&failed)?;
        let lock = File::create(aside.path().join(LOCK)).map_err(&failed)?;
        lock.try_lock().map_err(|_| JobError::Locked(aside.path().into()))?;
        for job in jobs {
            write(&aside.path().join(file_name(job.number)), job)?;
        }
        write(&aside.path().join(BATCH), batch)?;
        let target = self.0.join(&batch.id);
        match fs::rename(aside.path(), &target) {
            // Nothing is left under the old name for the guard to remove.
            Ok(()) => drop(aside.keep()),
            Err(_) if self.has(&batch.id) => {}
            Err(why) => return Err(JobError::of(&target)(why)),
        }
        sync_folder(&self.0).map_err(failed)
    }

    /// Removes what processes that ended early left behind.
    fn sweep(&self) {
        for path in entries(&self.0).unwrap_or_default().iter().filter(|p| unfinished(p)) {
            // Whoever still writes there holds the lock.
            if File::open(path.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok()) {
                let _ = fs::remove_dir_all(path);
            }
        }
    }

    /// All batches, the oldest first.
    pub fn batches(&self) -> Result<Vec<Batch>, JobError> {
        let paths = match entries(&self.0) {
            Err(JobError::File { why, .. }) if why.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Vec::new());
            }
            other => other?,
        };
        let whole = paths.iter().filter(|p| !unfinished(p) && p.join(BATCH).is_file());
        let mut all = whole.map(|p| batch_in(p)).collect::<Result<Vec<_>, _>>()?;
        all.sort_by(|a, b| (a.created_ms, &a.id).cmp(&(b.created_ms, &b.id)));
        Ok(all)
    }

    /// The name of the batch that `wanted` begins, or of the newest.
    pub fn find(&self, wanted: Option<&str>) -> Result<String, JobError> {
        let mut all = self.batches()?;
        let Some(wanted) = wanted else {
            return all.pop().map(|b| b.id).ok_or_else(|| JobError::Empty(self.0.clone()));
        };
        if all.iter().any(|b| b.id == wanted) {
            return Ok(wanted.into());
        }
        let mut begun = all.into_iter().filter(|b| b.id.starts_with(wanted));
        match (begun.next(), begun.next()) {
            (Some(only), None) => Ok(only.id),
            _ => Err(JobError::NoBatch { wanted: wanted.into(), store: self.0.clone() }),
        }
    }

    pub fn read(&self, id: &str) -> Result<(Batch, Vec<Job>), JobError> {
        let path = self.0.join(id);
        let batch = batch_in(&path)?;
        let jobs = (1..=batch.jobs).map(|n| read(&path.join(file_name(n))));
        let jobs = jobs.collect::<Result<_, _>>()?;
        Ok((batch, jobs))
    }

    pub fn open(&self, id: &str) -> Result<Open, JobError> {
        let path = self.0.join(id);
        let lock_path = path.join(LOCK);
        let failed = JobError::of(&lock_path);
        let lock = File::options().append(true).create(true).open(&lock_path).map_err(&failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JobError::Locked(path)),
            Err(TryLockError::Error(e)) => return Err(failed(e)),
        }
        // Files that a process that ended early did not get to rename.
        for left in entries(&path)?.iter().filter(|p| unfinished(p)) {
            let _ = fs::remove_file(left);
        }
        let (batch, jobs) = self.read(id)?;
        Ok(Open { path, batch, jobs, _lock: lock })
    }

    /// Tasks submitted to the batch's platform and address since midnight in Beijing, over all batches.
    pub fn used_today(&self, like: &Batch) -> Result<u32, JobError> {
        let today = dates::beijing_time(dates::now_s()).date();
        let mut used = 0;
        for batch in self.batches()? {
            if (batch.platform, &batch.url) != (like.platform, &like.url) {
                continue;
            }
            for job in self.read(&batch.id)?.1 {
                let earlier = job.earlier.iter().map(|a| a.at_s);
                let all = job.state.at_s().into_iter().chain(earlier);
                used += all.filter(|&s| dates::beijing_time(s).date() == today).count() as u32;
            }
        }
        Ok(used)
    }
}

impl Open {
    /// A job's new state, on disk when this returns.
    pub fn set(&mut self, index: usize, state: State) -> Result<(), JobError> {
        self.jobs[index].state = state;
        self.save(index)
    }

    pub fn save(&self, index: usize) -> Result<(), JobError> {
        let job = &self.jobs[index];
        write(&self.path.join(file_name(job.number)), job)
    }

    pub fn count(&self, of: fn(&State) -> bool) -> usize {
        self.jobs.iter().filter(|j| of(&j.state)).count()
    }
}

fn file_name(number: usize) -> String {
    format!("{number:05}.json")
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, JobError> {
    let entries = fs::read_dir(folder).map_err(JobError::of(folder))?;
    Ok(entries.flatten().map(|e| e.path()).collect())
}

fn unfinished(path: &Path) -> bool {
    path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with(UNFINISHED))
}

fn batch_in(path: &Path) -> Result<Batch, JobError> {
    let path = path.join(BATCH);
    let batch: Batch = read(&path)?;
    if batch.version != VERSION {
        let what = format!("version {}; this program reads version {VERSION}", batch.version);
        return Err(JobError::Content { path, what });
    }
    Ok(batch)
}

/// Writes `value`. At any moment the file is the old one or the new one.
fn write(path: &Path, value: &impl Serialize) -> Result<(), JobError> {
    let failed = JobError::of(path);
    let mut text = serde_json::to_vec_pretty(value).map_err(|e| failed(e.into()))?;
    text.push(b'\n');
    write_durable(path, &text, UNFINISHED).map_err(failed)
}

pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T, JobError> {
    let text = fs::read_to_string(path).map_err(JobError::of(path))?;
    serde_json::from_str(&text).map_err(|e| JobError::content(path, e.to_string()))
}
