//! The adapter folder: PEFT's two files, and what `teach` wants to know besides.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::adapter::PREFIX;
use super::init::Settings;
use crate::teacher::TeacherError;

pub const ABOUT: &str = "qdllm.json";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// Classes in the order of the head's outputs.
    pub classes: Vec<String>,
    pub model: String,
    pub digest: String,
    pub max_tokens: usize,
    /// Epochs trained; the one that was kept, where validation chose.
    pub epoch: u64,
}

pub fn write(
    folder: &Path,
    variables: &BTreeMap<String, Tensor>,
    settings: &Settings,
    about: &About,
) -> Result<(), TeacherError> {
    let tensors: HashMap<String, Tensor> = variables
        .iter()
        .map(|(name, tensor)| (format!("{PREFIX}{name}"), tensor.clone()))
        .collect();
    super::checkpoint::write(&folder.join("adapter_model.safetensors"), &tensors)?;
    let whole = variables.keys().filter(|name| !name.contains(".lora_"));
    let mut saved: Vec<&str> =
        whole.filter_map(|name| name.rsplit_once('.')?.0.rsplit('.').next()).collect();
    saved.dedup();
    let config = serde_json::json!({
        "base_model_name_or_path": about.model,
        "bias": "none",
        "fan_in_fan_out": false,
        "inference_mode": true,
        "lora_alpha": settings.alpha,
        "lora_dropout": 0.0,
        "modules_to_save": saved,
        "peft_type": "LORA",
        "r": settings.rank,
        "target_modules": settings.targets,
        "task_type": "SEQ_CLS",
        "use_rslora": false,
    });
    for (name, json) in [("adapter_config.json", config), (ABOUT, serde_json::json!(about))] {
        let path = folder.join(name);
        let text = serde_json::to_string_pretty(&json).unwrap_or_default() + "\n";
        std::fs::write(&path, text).map_err(TeacherError::io(&path))?;
    }
    Ok(())
}

/// Reads what [`write`] left beside an adapter; `None` where PEFT made it.
pub fn about(folder: &Path) -> Result<Option<About>, TeacherError> {
    let path = folder.join(ABOUT);
    if !path.is_file() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path).map_err(TeacherError::io(&path))?;
    let about = serde_json::from_str(&text)
        .map_err(|e| TeacherError::model(&path, format!("is not what `tune` writes ({e})")))?;
    Ok(Some(about))
}
