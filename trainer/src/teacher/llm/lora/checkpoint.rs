//! What a tuning run changes: variables, the state of `AdamW` (Loshchilov & Hutter, 2019) and the place in the data; on
//! disk it is written whole or not at all.

use anyhow::{Context as _, Result, anyhow, bail};
use candle_core::{DType, Device, Tensor, Var};
use qdllm_host::files;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// Tensors by the names of variables.
pub type Named = BTreeMap<String, Tensor>;

pub struct State {
    pub variables: BTreeMap<String, Var>,
    /// Means of the gradients and of their squares, by variable.
    moments: BTreeMap<String, (Tensor, Tensor)>,
    pub updates: u64,
    /// Sum of the losses of the epoch under way, and number of its texts.
    pub losses: (f64, u64),
    /// Least validation loss so far, with its epoch (from 1).
    pub best: Option<(f64, u64)>,
    /// The variables after that epoch.
    pub kept: Named,
}

impl State {
    pub fn new(variables: BTreeMap<String, Var>) -> Result<Self> {
        let zeros = |(name, variable): (&String, &Var)| {
            let zero = variable.zeros_like()?;
            Ok((name.clone(), (zero.clone(), zero)))
        };
        let moments = variables.iter().map(zeros).collect::<Result<_>>()?;
        let kept = BTreeMap::new();
        Ok(Self { variables, moments, updates: 0, losses: (0.0, 0), best: None, kept })
    }

    /// One step against the gradients; `decay` draws matrices (not biases) towards 0.
    pub fn update(&mut self, gradients: &Named, rate: f64, decay: f64) -> Result<()> {
        self.updates += 1;
        let steps = self.updates.min(1 << 30) as i32;
        let (unbias1, unbias2) = (1.0 - BETA1.powi(steps), 1.0 - BETA2.powi(steps));
        for (name, variable) in &self.variables {
            let found = gradients.get(name).zip(self.moments.get_mut(name));
            let Some((gradient, (mean, square))) = found else { continue };
            // Detached: a moment that remembered how it came about would keep every step in memory.
            *mean = ((&*mean * BETA1)? + (gradient * (1.0 - BETA1))?)?.detach();
            *square = ((&*square * BETA2)? + (gradient.sqr()? * (1.0 - BETA2))?)?.detach();
            let root = ((&*square / unbias2)?.sqrt()? + EPSILON)?;
            let step = ((&*mean / unbias1)? / root)?;
            let decay = if variable.rank() > 1 { rate * decay } else { 0.0 };
            let kept = (variable.as_tensor() * (1.0 - decay))?;
            variable.set(&(kept - (step * rate)?)?.detach())?;
        }
        Ok(())
    }

    /// Writes a checkpoint beside `path` and renames it.
    pub fn save(&self, path: &Path, fingerprint: &[u8]) -> Result<()> {
        let cpu = &Device::Cpu;
        let mut tensors = HashMap::new();
        let mut put = |part, name, tensor: &Tensor| {
            tensors.insert(format!("{part}.{name}"), tensor.clone());
        };
        self.variables.iter().for_each(|(name, v)| put("variable", name, v.as_tensor()));
        self.kept.iter().for_each(|(name, tensor)| put("best", name, tensor));
        for (name, (mean, square)) in &self.moments {
            put("mean", name, mean);
            put("square", name, square);
        }
        let (loss, epoch) = self.best.unwrap_or((f64::INFINITY, 0));
        let counts = [self.updates as i64, self.losses.1 as i64, epoch as i64];
        tensors.insert("counts".into(), Tensor::new(&counts, cpu)?);
        tensors.insert("losses".into(), Tensor::new(&[self.losses.0, loss], cpu)?);
        tensors.insert("fingerprint".into(), Tensor::new(fingerprint, cpu)?);
        write(path, &tensors)
    }

    pub fn load(&mut self, path: &Path, fingerprint: &[u8], device: &Device) -> Result<()> {
        let bad = |what: &str| {
            let remedy = "give another --out or delete this file to begin anew";
            format!("{}: {what}; {remedy}", path.display())
        };
        let tensors = candle_core::safetensors::load(path, device)
            .map_err(|e| anyhow!(bad(&format!("is no checkpoint ({e})"))))?;
        let get = |name: &str| tensors.get(name).with_context(|| bad(&format!("has no `{name}`")));
        if get("fingerprint")?.to_vec1::<u8>()? != fingerprint {
            bail!(bad("belongs to a run with another model, other data or other settings"));
        }
        let counts = get("counts")?.to_vec1::<i64>()?;
        let losses = get("losses")?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        let (&[updates, texts, epoch], &[loss, least]) = (&counts[..], &losses[..]) else {
            bail!(bad("has a place of another form"));
        };
        for (name, variable) in &self.variables {
            variable.set(get(&format!("variable.{name}"))?)?;
            let (mean, square) = (get(&format!("mean.{name}"))?, get(&format!("square.{name}"))?);
            self.moments.insert(name.clone(), (mean.clone(), square.clone()));
        }
        (self.updates, self.losses) = (updates as u64, (loss, texts as u64));
        self.best = (epoch > 0).then_some((least, epoch as u64));
        let best = tensors.iter().filter_map(|(name, t)| Some((name.strip_prefix("best.")?, t)));
        self.kept = best.map(|(name, tensor)| (name.to_owned(), tensor.clone())).collect();
        Ok(())
    }
}

/// Scales gradients so that all of them together are at most `limit` long; gives the length they had.
pub fn clip(gradients: &mut Named, limit: f64) -> Result<f64> {
    let mut square = 0.0;
    for gradient in gradients.values() {
        square += f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?);
    }
    let length = square.sqrt();
    if length > limit {
        for gradient in gradients.values_mut() {
            *gradient = (&*gradient * (limit / length))?;
        }
    }
    Ok(length)
}

/// Writes tensors beside `path` and renames the file.
pub fn write(path: &Path, tensors: &HashMap<String, Tensor>) -> Result<()> {
    let bytes = safetensors::serialize(tensors, None)
        .map_err(|e| anyhow!("{}: cannot be written ({e})", path.display()))?;
    files::write(path, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bowl_is_descended_and_the_first_step_is_the_rate() {
        let start = Tensor::new(&[[3f32, -2.0]], &Device::Cpu).unwrap();
        let variables = BTreeMap::from([("x".to_owned(), Var::from_tensor(&start).unwrap())]);
        let x = variables["x"].clone();
        let mut state = State::new(variables).unwrap();
        for step in 0..300 {
            let loss = x.sqr().unwrap().sum_all().unwrap();
            let mut store = loss.backward().unwrap();
            let gradients = BTreeMap::from([("x".to_owned(), store.remove(&x).unwrap())]);
            state.update(&gradients, 0.05, 0.0).unwrap();
            if step == 0 {
                let now: Vec<Vec<f32>> = x.to_vec2().unwrap();
                assert!(
                    (now[0][0] - 2.95).abs() < 1e-4 && (now[0][1] + 1.95).abs() < 1e-4,
                    "{now:?}"
                );
            }
        }
        let worst = x.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(worst < 0.05, "{worst}");
    }

    #[test]
    fn long_gradients_are_shortened_and_short_ones_left() {
        let three_four = Tensor::new(&[3f32, 4.0], &Device::Cpu).unwrap();
        let mut gradients = BTreeMap::from([("g".to_owned(), three_four)]);
        assert!((clip(&mut gradients, 10.0).unwrap() - 5.0).abs() < 1e-6);
        assert_eq!(gradients["g"].to_vec1::<f32>().unwrap(), [3.0, 4.0]);
        clip(&mut gradients, 1.0).unwrap();
        let short = gradients["g"].to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap();
        assert!((short[0] - 0.6).abs() < 1e-6 && (short[1] - 0.8).abs() < 1e-6, "{short:?}");
    }
}
