//! Where training stood: written whole after every epoch by temporary name and rename, so that a run
//! ended at any moment goes on with exactly the bytes it would have reached.

use super::adam::Adam;
use qdllm_host::files::write_whole;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The state of a run after some epochs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Digest of settings and data: another run's checkpoint is not taken up.
    pub fingerprint: String,
    pub epochs: usize,
    pub theta: Vec<f32>,
    pub adam: Adam,
    /// Parameters of the best epoch so far.
    pub best: Vec<f32>,
    pub best_loss: f64,
    pub best_epoch: usize,
}

/// Why a checkpoint cannot be used or written.
#[derive(Debug, Error)]
pub enum CheckpointError {
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error(
        "{path}: not a whole checkpoint; delete it, or give --restart, to train from the beginning"
    )]
    Damaged { path: PathBuf },
    #[error(
        "{path}: belongs to a run with other settings or data; give --restart to train from the beginning, or the settings of that run to go on with it"
    )]
    Foreign { path: PathBuf },
}

impl Checkpoint {
    /// A run that begins at `theta`, before its first epoch.
    pub fn fresh(fingerprint: String, theta: Vec<f32>) -> Self {
        Self {
            fingerprint,
            epochs: 0,
            adam: Adam::new(theta.len()),
            best: theta.clone(),
            theta,
            best_loss: f64::INFINITY,
            best_epoch: 0,
        }
    }

    /// Reads a checkpoint; `None` if there is no file.
    pub fn read(path: &Path, fingerprint: &str) -> Result<Option<Self>, CheckpointError> {
        let damaged = || CheckpointError::Damaged { path: path.to_owned() };
        let bytes = match std::fs::read(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(io(path))?,
        };
        let (digest, body) = bytes.split_at_checked(32).ok_or_else(damaged)?;
        if Sha256::digest(body).as_slice() != digest {
            return Err(damaged());
        }
        let found: Self = postcard::from_bytes(body).map_err(|_| damaged())?;
        if found.fingerprint != fingerprint {
            return Err(CheckpointError::Foreign { path: path.to_owned() });
        }
        Ok(Some(found))
    }

    /// On an error the earlier checkpoint is still whole.
    pub fn write(&self, path: &Path) -> Result<(), CheckpointError> {
        let body = postcard::to_allocvec(self)
            .map_err(|_| CheckpointError::Damaged { path: path.to_owned() })?;
        let mut bytes = Sha256::digest(&body).to_vec();
        bytes.extend_from_slice(&body);
        write_whole(path, &bytes).map_err(io(path))
    }
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> CheckpointError {
    |source| CheckpointError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_as_written_and_refuses_damage_and_strangers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.ckpt");
        assert!(Checkpoint::read(&path, "a").unwrap().is_none());
        let state = Checkpoint {
            fingerprint: "a".into(),
            epochs: 3,
            theta: vec![0.1, -2.5, f32::MIN_POSITIVE],
            adam: Adam::new(3),
            best: vec![1.0; 3],
            best_loss: 0.25,
            best_epoch: 2,
        };
        state.write(&path).unwrap();
        assert_eq!(Checkpoint::read(&path, "a").unwrap(), Some(state));
        assert!(matches!(Checkpoint::read(&path, "b"), Err(CheckpointError::Foreign { .. })));
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.pop();
        std::fs::write(&path, &bytes).unwrap();
        assert!(matches!(Checkpoint::read(&path, "a"), Err(CheckpointError::Damaged { .. })));
    }
}
