//! Jobs on a quantum cloud, kept on disk so that any step can be repeated after any end of the program.
//!
//! A batch is a folder: `batch.json`, written once, and one file a job. A job goes
//! `ready -> sending -> submitted -> finished | failed | cancelled`. `sending` is on disk before the
//! request leaves; a program that finds it there asks the platform what became of it.

pub mod answers;
pub mod collect;
pub mod draft;
pub mod durable;
pub mod job;
pub mod quota;
pub mod send;
pub mod store;
pub mod verify;

use crate::cloud::error::CloudError;
use std::path::PathBuf;

/// Why a job or a batch cannot be worked on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: {what}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Another process works on the batch.
    #[error("{}: another qdllm-hw works on this batch; wait for it, or end it", .0.display())]
    Locked(PathBuf),
    /// No such batch.
    #[error("no batch `{wanted}` in {}; `qdllm-hw status` lists them", store.display())]
    NoBatch {
        /// What was asked for.
        wanted: String,
        /// The store.
        store: PathBuf,
    },
    /// Nothing was ever submitted.
    #[error("{} holds no batch; `qdllm-hw submit` makes one", .0.display())]
    Empty(PathBuf),
    /// The platform.
    #[error(transparent)]
    Cloud(#[from] CloudError),
    /// The quota of the day is used up.
    #[error(
        "{used} of {daily} tasks of this day (Beijing time) are used; {left} jobs wait; \
         run `qdllm-hw submit --resume {batch}` after midnight in Beijing"
    )]
    Quota {
        /// Tasks submitted this day.
        used: u32,
        /// Tasks a day.
        daily: u32,
        /// Jobs not sent.
        left: usize,
        /// The batch.
        batch: String,
    },
    /// Nobody knows whether a job was received.
    #[error(
        "{name}: its submission got no answer, and the platform cannot be asked about it ({why}); \
         it was not sent again. Look for this name in the platform's console, then run \
         `qdllm-hw submit --resume {batch}` with --received {name}=TASK, or --lost {name}"
    )]
    Doubtful {
        /// The task's name.
        name: String,
        /// The batch.
        batch: String,
        /// Why the platform cannot be asked.
        why: CloudError,
    },
}
