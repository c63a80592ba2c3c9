//! LoRA adapters: PEFT's two files, and what `teach` wants to know besides. They are merged into the matrices as these
//! are loaded.

use crate::teacher::llm::config::JsonObject;
use crate::teacher::llm::lora::checkpoint::{self, Named};
use crate::teacher::llm::weights::{Safetensors, Tensors};
use anyhow::{Context as _, Result, anyhow, bail};
use candle_core::Tensor;
use qdllm_host::files;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

/// What PEFT puts before every tensor's name.
pub const PREFIX: &str = "base_model.model.";

pub struct Adapter {
    shards: Safetensors,
    scale: f64,
    used: BTreeSet<String>,
    pub digest: String,
}

impl Adapter {
    pub fn open(folder: &Path) -> Result<Self> {
        let config = folder.join("adapter_config.json");
        if !config.is_file() {
            bail!(
                "{}: has no adapter_config.json; give a folder that PEFT or `qdllm tune` wrote",
                folder.display()
            );
        }
        let keys = JsonObject::read(&config)?;
        let kind = keys.or("peft_type", "LORA".to_owned())?;
        if kind != "LORA" {
            return keys.refuse(format!("adapters of type `{kind}` are not supported; LORA is"));
        }
        let mut merged = vec![];
        for flag in ["use_dora", "lora_bias", "use_qalora", "use_bdlora"] {
            merged.extend(keys.or(flag, false)?.then_some(flag));
        }
        for pattern in ["rank_pattern", "alpha_pattern"] {
            let map: Map<String, Value> = keys.or(pattern, Map::new())?;
            merged.extend((!map.is_empty()).then_some(pattern));
        }
        if let Some(what) = merged.first() {
            return keys.refuse(format!("`{what}` is not supported; merge the adapter with PEFT"));
        }
        if keys.or("fan_in_fan_out", false)? {
            return keys.refuse(
                "`fan_in_fan_out` is for matrices stored transposed, as GPT-2 has them; none of the supported families does",
            );
        }
        if keys.or("bias", "none".to_owned())? != "none" {
            return keys.refuse("trained biases are not supported; merge the adapter with PEFT");
        }
        let (rank, alpha): (usize, f64) = (keys.need("r")?, keys.need("lora_alpha")?);
        if rank == 0 {
            return keys.refuse("`r` must be at least 1");
        }
        let root = if keys.or("use_rslora", false)? { (rank as f64).sqrt() } else { rank as f64 };
        let shards = Safetensors::open(folder, "adapter_model")?;
        let digest = shards.digest()?;
        Ok(Self { shards, scale: alpha / root, used: BTreeSet::new(), digest })
    }

    /// The shape of a tensor that replaces `name`, if the adapter has one.
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.shards.shape(&format!("{PREFIX}{name}"))
    }

    /// The tensor `name` of the model as the adapter changes it: replaced, or with its LoRA product added.
    pub fn apply(&mut self, name: &str, found: Option<Tensor>) -> Result<Option<Tensor>> {
        let full = format!("{PREFIX}{name}");
        if let Some(replaced) = self.shards.get(&full)? {
            return Ok(Some(replaced));
        }
        let Some((module, weight)) = full.strip_suffix(".weight").zip(found.as_ref()) else {
            return Ok(found);
        };
        let (down, up) = (format!("{module}.lora_A.weight"), format!("{module}.lora_B.weight"));
        let (Some(a), b) = (self.shards.get(&down)?, self.shards.get(&up)?) else {
            return Ok(found);
        };
        let place = self.shards.path().display();
        let b = b.with_context(|| {
            format!("{place}: has `{down}` and no `{up}`; fetch the adapter again")
        })?;
        let fits = match (a.dims(), b.dims(), weight.dims()) {
            (&[r, inputs], &[outputs, s], shape) => r == s && shape == [outputs, inputs],
            _ => false,
        };
        if !fits {
            bail!(
                "{place}: `{module}` is {:?} times {:?}, the model's matrix {:?}; this adapter belongs to another model",
                b.dims(),
                a.dims(),
                weight.dims()
            );
        }
        self.used.extend([down, up]);
        Ok(Some((weight + (b.matmul(&a)? * self.scale)?)?))
    }

    /// Complains about LoRA matrices that no part of the model took.
    pub fn check_used(&self) -> Result<()> {
        let left = |name: &&String| name.contains("lora_") && !self.used.contains(*name);
        match self.shards.tensors.keys().find(left) {
            Some(name) => bail!(
                "{}: `{name}` belongs to no matrix of the model; this adapter was made for another one",
                self.shards.path().display()
            ),
            None => Ok(()),
        }
    }
}

pub const ABOUT: &str = "qdllm.json";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct About {
    pub classes: Vec<String>,
    pub model: String,
    pub digest: String,
    pub max_tokens: usize,
    /// Epochs trained; the one that was kept, where validation chose.
    pub epoch: u64,
}

pub fn write(
    folder: &Path,
    variables: &Named,
    (rank, alpha, targets): (usize, f64, &[String]),
    about: &About,
) -> Result<()> {
    let tensors: HashMap<String, Tensor> = variables
        .iter()
        .map(|(name, tensor)| (format!("{PREFIX}{name}"), tensor.clone()))
        .collect();
    checkpoint::write(&folder.join("adapter_model.safetensors"), &tensors)?;
    let whole = variables.keys().filter(|name| !name.contains(".lora_"));
    let mut saved: Vec<&str> =
        whole.filter_map(|name| name.rsplit_once('.')?.0.rsplit('.').next()).collect();
    saved.dedup();
    let config = serde_json::json!({
        "base_model_name_or_path": about.model,
        "bias": "none",
        "fan_in_fan_out": false,
        "inference_mode": true,
        "lora_alpha": alpha,
        "lora_dropout": 0.0,
        "modules_to_save": saved,
        "peft_type": "LORA",
        "r": rank,
        "target_modules": targets,
        "task_type": "SEQ_CLS",
        "use_rslora": false,
    });
    for (name, json) in [("adapter_config.json", config), (ABOUT, serde_json::json!(about))] {
        let path = folder.join(name);
        let text = serde_json::to_string_pretty(&json).unwrap_or_default() + "\n";
        files::write(&path, text)?;
    }
    Ok(())
}

/// Reads what [`write()`] left beside an adapter; `None` where PEFT made it.
pub fn about(folder: &Path) -> Result<Option<About>> {
    let path = folder.join(ABOUT);
    if !path.is_file() {
        return Ok(None);
    }
    let text = files::read_text(&path)?;
    let bad = |e| anyhow!("{}: is not what `tune` writes ({e})", path.display());
    serde_json::from_str(&text).map(Some).map_err(bad)
}
