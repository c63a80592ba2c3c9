//! Where training stood: written whole after every epoch by temporary name and rename, so that a run
//! ended at any moment goes on with exactly the bytes it would have reached.

use super::adam::Adam;
use anyhow::{Context as _, Error, Result, anyhow, ensure};
use qdllm_host::files::write_whole;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::Path;

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
    pub fn read(path: &Path, fingerprint: &str) -> Result<Option<Self>> {
        let bytes = match std::fs::read(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(failed(path))?,
        };
        let body = bytes.split_at_checked(32);
        let body = body.filter(|(digest, body)| Sha256::digest(body).as_slice() == *digest);
        let found = body.and_then(|(_, body)| postcard::from_bytes::<Self>(body).ok());
        let path = path.display();
        let found = found.with_context(|| {
            format!("{path}: not a whole checkpoint; delete it, or give --restart, to train from the beginning")
        })?;
        ensure!(
            found.fingerprint == fingerprint,
            "{path}: belongs to a run with other settings or data; give --restart to train from the beginning, or the settings of that run to go on with it"
        );
        Ok(Some(found))
    }

    /// On an error the earlier checkpoint is still whole.
    pub fn write(&self, path: &Path) -> Result<()> {
        let body = postcard::to_allocvec(self)?;
        let mut bytes = Sha256::digest(&body).to_vec();
        bytes.extend_from_slice(&body);
        write_whole(path, &bytes).map_err(failed(path))
    }
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    move |e| anyhow!("{}: {e}", path.display())
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
        let refused = |fingerprint| Checkpoint::read(&path, fingerprint).unwrap_err().to_string();
        assert!(refused("b").contains("belongs to a run with other settings"));
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.pop();
        std::fs::write(&path, &bytes).unwrap();
        assert!(refused("a").contains("not a whole checkpoint"));
    }
}
