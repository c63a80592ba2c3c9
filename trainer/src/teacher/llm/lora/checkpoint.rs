//! A tuning run on disk: variables, moments and the place in the data, written whole or not at all.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::{DType, Device, Tensor, Var};

use crate::teacher::llm::lora::adamw::AdamW;
use crate::teacher::{Result, TeacherError};

/// What of a run is neither variable nor moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Place {
    pub updates: u64,
    /// Sum of the losses of the epoch under way, and number of its texts.
    pub losses: (f64, u64),
    /// Least validation loss so far, with its epoch (from 1); infinite before the first.
    pub best: Option<(f64, u64)>,
}

/// Writes a checkpoint beside `path` and renames it.
pub fn save(
    path: &Path,
    fingerprint: &[u8],
    place: &Place,
    variables: &BTreeMap<String, Var>,
    best: &BTreeMap<String, Tensor>,
    adam: &AdamW,
) -> Result<()> {
    let cpu = &Device::Cpu;
    let mut tensors = HashMap::new();
    for (name, variable) in variables {
        tensors.insert(format!("variable.{name}"), variable.as_tensor().clone());
    }
    for (name, (mean, square)) in &adam.moments {
        tensors.insert(format!("mean.{name}"), mean.clone());
        tensors.insert(format!("square.{name}"), square.clone());
    }
    for (name, tensor) in best {
        tensors.insert(format!("best.{name}"), tensor.clone());
    }
    let (loss, epoch) = place.best.unwrap_or((f64::INFINITY, 0));
    let counts = [place.updates as i64, place.losses.1 as i64, epoch as i64];
    tensors.insert("counts".into(), Tensor::new(&counts, cpu)?);
    tensors.insert("losses".into(), Tensor::new(&[place.losses.0, loss], cpu)?);
    tensors.insert("fingerprint".into(), Tensor::new(fingerprint, cpu)?);
    write(path, &tensors)
}

/// Writes tensors beside `path` and renames the file.
pub fn write(path: &Path, tensors: &HashMap<String, Tensor>) -> Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let bytes = safetensors::serialize(tensors, None)
        .map_err(|e| TeacherError::model(path, format!("cannot be written ({e})")))?;
    std::fs::write(&partial, bytes).map_err(TeacherError::io(path))?;
    std::fs::rename(&partial, path).map_err(TeacherError::io(path))
}

/// Takes a checkpoint up: sets variables and moments, and gives the place and the best variables so far.
pub fn load(
    path: &Path,
    fingerprint: &[u8],
    variables: &BTreeMap<String, Var>,
    adam: &mut AdamW,
    device: &Device,
) -> Result<(Place, BTreeMap<String, Tensor>)> {
    let bad = |what: &str| {
        TeacherError::model(
            path,
            format!("{what}; give another --out or delete this file to begin anew"),
        )
    };
    let tensors = candle_core::safetensors::load(path, device)
        .map_err(|e| bad(&format!("is no checkpoint ({e})")))?;
    let get = |name: &str| tensors.get(name).ok_or_else(|| bad(&format!("has no `{name}`")));
    if get("fingerprint")?.to_vec1::<u8>()? != fingerprint {
        return Err(bad("belongs to a run with another model, other data or other settings"));
    }
    let counts = get("counts")?.to_vec1::<i64>()?;
    let losses = get("losses")?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
    let (&[updates, texts, epoch], &[loss, least]) = (counts.as_slice(), losses.as_slice()) else {
        return Err(bad("has a place of another form"));
    };
    for (name, variable) in variables {
        variable.set(get(&format!("variable.{name}"))?)?;
        let (mean, square) = (get(&format!("mean.{name}"))?, get(&format!("square.{name}"))?);
        adam.moments.insert(name.clone(), (mean.clone(), square.clone()));
    }
    adam.updates = updates as u64;
    let best = (epoch > 0).then_some((least, epoch as u64));
    let kept = tensors
        .iter()
        .filter_map(|(name, tensor)| Some((name.strip_prefix("best.")?.to_owned(), tensor.clone())))
        .collect();
    Ok((Place { updates: updates as u64, losses: (loss, texts as u64), best }, kept))
}
