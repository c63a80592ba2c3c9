//! Jobs on a quantum cloud, kept on disk so that any step can be repeated after any end of the program.
//!
//! A batch is a folder: `batch.json`, written once, and one file a job. A job goes
//! `ready -> sending -> submitted -> finished | failed | cancelled`. `sending` is on disk before the
//! request leaves; a program that finds it there asks the platform what became of it.

pub mod collect;
pub mod job;
mod json_file;
pub mod planned_circuit;
pub mod quota;
pub mod results;
pub mod send;
pub mod store;
mod verify;

use crate::quafu::error::CloudError;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{}: {what}", path.display())]
    Content { path: PathBuf, what: String },
    #[error("{}: another qdllm-hw works on this batch; wait for it, or end it", .0.display())]
    Locked(PathBuf),
    #[error("no batch `{wanted}` in {}; `qdllm-hw status` lists them", store.display())]
    NoBatch { wanted: String, store: PathBuf },
    #[error("{} holds no batch; `qdllm-hw submit` makes one", .0.display())]
    Empty(PathBuf),
    #[error(transparent)]
    Cloud(#[from] CloudError),
    #[error(
        "{used} of {daily} tasks of this day (Beijing time) are used; {left} jobs wait; \
         run `qdllm-hw submit --resume {batch}` after midnight in Beijing"
    )]
    Quota { used: u32, daily: u32, left: usize, batch: String },
    #[error(
        "{name}: its submission got no answer, and the platform cannot be asked about it ({why}); \
         it was not sent again. Look for this name in the platform's console, then run \
         `qdllm-hw submit --resume {batch}` with --received {name}=TASK, or --lost {name}"
    )]
    Doubtful { name: String, batch: String, why: CloudError },
}
