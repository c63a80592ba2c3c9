//! Tables of numbers in safetensors files: one row a text, with the texts' digests where the file has them.
//!
//! A file holds one two-dimensional tensor of floats (`vectors` or `logits`, or the only one of its kind), and may
//! hold `text_sha256`, bytes of shape rows x 32. Without digests a row belongs to the text of the same place.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use qdllm_host::errors::OfFile as _;
use qdllm_host::files::{self, write_whole};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    pub width: usize,
    pub values: Vec<f32>,
    /// SHA-256 of each row's text, where the file has them.
    pub digests: Option<Vec<[u8; 32]>>,
    pub metadata: HashMap<String, String>,
}

impl Table {
    pub fn rows(&self) -> usize {
        self.values.len() / self.width
    }

    pub fn row(&self, i: usize) -> &[f32] {
        &self.values[i * self.width..(i + 1) * self.width]
    }

    /// Reads the tensor `name`, or the only two-dimensional one of floats.
    pub fn read(path: &Path, name: &str) -> Result<Self> {
        let bytes = files::read(path)?;
        let parse = || -> Result<Self> {
            let file = SafeTensors::deserialize(&bytes)
                .map_err(|e| anyhow!("not a whole safetensors file ({e:?}); write it again"))?;
            let metadata = SafeTensors::read_metadata(&bytes)?.1.metadata().clone();
            let view = choose(&file, name)?;
            let [rows, width] = *view.shape() else {
                bail!("tensor `{name}` has the shape {:?}, not rows x numbers", view.shape());
            };
            ensure!(rows > 0 && width > 0, "tensor `{name}` is empty ({rows} x {width})");
            let values = floats(&view).with_context(|| {
                format!("tensor `{name}` is {:?}; write F32, F64, F16 or BF16", view.dtype())
            })?;
            if let Some(at) = values.iter().position(|x| !x.is_finite()) {
                bail!(
                    "row {}: number {} is not finite; the model that made it overflowed, make the row again in f32",
                    at / width + 1,
                    at % width + 1
                );
            }
            let digests = match file.tensor("text_sha256") {
                Err(_) => None,
                Ok(view) if view.dtype() == Dtype::U8 && view.shape() == [rows, 32] => {
                    Some(view.data().as_chunks().0.to_vec())
                }
                Ok(view) => bail!(
                    "tensor `text_sha256` is {:?} {:?}; it must be U8 [{rows}, 32]",
                    view.dtype(),
                    view.shape()
                ),
            };
            Ok(Self { width, values, digests, metadata: metadata.unwrap_or_default() })
        };
        parse().of_file(path)
    }

    /// Writes the table as the tensor `name`, by temporary name and rename.
    pub fn write(&self, path: &Path, name: &str) -> Result<()> {
        let write = || -> Result<()> {
            let bytes: Vec<u8> = self.values.iter().flat_map(|x| x.to_le_bytes()).collect();
            let digests: Vec<u8> = self.digests.iter().flatten().flatten().copied().collect();
            let shape = vec![self.rows(), self.width];
            let mut tensors = vec![(name, TensorView::new(Dtype::F32, shape, &bytes)?)];
            if self.digests.is_some() {
                let shape = vec![self.rows(), 32];
                tensors.push(("text_sha256", TensorView::new(Dtype::U8, shape, &digests)?));
            }
            let metadata = (!self.metadata.is_empty()).then(|| self.metadata.clone());
            Ok(write_whole(path, safetensors::serialize(tensors, metadata)?)?)
        };
        write().of_file(path)
    }
}

/// The tensor of that name, or the only table of floats.
fn choose<'f>(file: &SafeTensors<'f>, name: &str) -> Result<TensorView<'f>> {
    if let Ok(view) = file.tensor(name) {
        return Ok(view);
    }
    let mut tables: Vec<(String, TensorView<'f>)> = file
        .tensors()
        .into_iter()
        .filter(|(_, view)| view.shape().len() == 2 && view.dtype() != Dtype::U8)
        .collect();
    match tables.len() {
        1 => Ok(tables.swap_remove(0).1),
        0 => bail!("holds no two-dimensional tensor; name it `{name}`"),
        _ => {
            let mut names: Vec<String> = tables.into_iter().map(|(name, _)| name).collect();
            names.sort();
            bail!("holds the tensors {}; name the one to use `{name}`", names.join(", "))
        }
    }
}

fn floats(view: &TensorView<'_>) -> Option<Vec<f32>> {
    fn all<const N: usize>(data: &[u8], of: fn([u8; N]) -> f32) -> Vec<f32> {
        data.as_chunks().0.iter().map(|bytes| of(*bytes)).collect()
    }
    let data = view.data();
    Some(match view.dtype() {
        Dtype::F32 => all(data, f32::from_le_bytes),
        // What is too large for f32 becomes infinite and is refused.
        Dtype::F64 => all(data, |bytes| f64::from_le_bytes(bytes) as f32),
        Dtype::BF16 => {
            all(data, |bytes| f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16))
        }
        Dtype::F16 => all(data, |bytes| half(u16::from_le_bytes(bytes))),
        _ => return None,
    })
}

/// IEEE 754 binary16: one sign bit, five of exponent, ten of fraction.
fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f32::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2.0_f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (fraction / 1024.0 + 1.0) * 2.0_f32.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, name: &str, dtype: Dtype, shape: &[usize], data: &[u8]) {
        let view = TensorView::new(dtype, shape.to_vec(), data).unwrap();
        std::fs::write(path, safetensors::serialize([(name, view)], None).unwrap()).unwrap();
    }

    #[test]
    fn what_is_written_is_read_and_every_float_kind_is_understood() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        let table = Table {
            width: 2,
            values: vec![1.5, -2.0, 0.25, 1e-3],
            digests: Some(vec![[7; 32], [9; 32]]),
            metadata: HashMap::from([("model".into(), "m".into())]),
        };
        table.write(&path, "vectors").unwrap();
        assert_eq!(Table::read(&path, "vectors").unwrap(), table);
        assert_eq!(Table::read(&path, "logits").unwrap().row(1), [0.25, 1e-3], "the only one");

        let f64s: Vec<u8> = [1.5_f64, -2.0].iter().flat_map(|x| x.to_le_bytes()).collect();
        let f16s: Vec<u8> = [0x3e00_u16, 0xc000].iter().flat_map(|x| x.to_le_bytes()).collect();
        let bf16s: Vec<u8> = [0x3fc0_u16, 0xc000].iter().flat_map(|x| x.to_le_bytes()).collect();
        for (dtype, data) in [(Dtype::F64, f64s), (Dtype::F16, f16s), (Dtype::BF16, bf16s)] {
            write(&path, "x", dtype, &[1, 2], &data);
            assert_eq!(Table::read(&path, "vectors").unwrap().values, [1.5, -2.0]);
        }
        for (bits, value) in [(0x0001, 2.0_f32.powi(-24)), (0x7bff, 65504.0), (0x8000, 0.0)] {
            assert!((half(bits) - value).abs() < 1e-12);
        }
    }

    #[test]
    fn tables_that_cannot_serve_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        let floats = |v: &[f32]| v.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
        let says = |needle: &str| {
            let message = format!("{:#}", Table::read(&path, "vectors").unwrap_err());
            assert!(message.contains(needle) && message.contains("x.safetensors"), "{message}");
        };
        write(&path, "vectors", Dtype::F32, &[2, 2], &floats(&[1.0, 2.0, 3.0, f32::NAN]));
        says("row 2: number 2 is not finite");
        write(&path, "vectors", Dtype::F32, &[4], &floats(&[1.0; 4]));
        says("shape");
        write(&path, "vectors", Dtype::I32, &[1, 1], &[0; 4]);
        says("I32");
        std::fs::write(&path, b"not tensors at all").unwrap();
        says("safetensors");
        std::fs::remove_file(&path).unwrap();
        says("No such file");
    }
}
