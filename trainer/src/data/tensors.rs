//! Tables of numbers in safetensors files: one row a text, with the texts' digests where the file has them.
//!
//! A file holds one two-dimensional tensor of floats (`vectors` or `logits`, or the only one of its kind), and may
//! hold `text_sha256`, bytes of shape rows x 32. Without digests a row belongs to the text of the same place.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Result, anyhow};
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
    pub fn len(&self) -> usize {
        self.values.len() / self.width
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub fn row(&self, i: usize) -> &[f32] {
        &self.values[i * self.width..(i + 1) * self.width]
    }

    /// Reads the tensor `name`, or the only two-dimensional one of floats.
    pub fn read(path: &Path, name: &str) -> Result<Self> {
        let fail = |what: String| anyhow!("{}: {what}", path.display());
        let bytes = std::fs::read(path).map_err(|e| fail(e.to_string()))?;
        let file = SafeTensors::deserialize(&bytes)
            .map_err(|e| fail(format!("not a whole safetensors file ({e:?}); write it again")))?;
        let (_, head) = SafeTensors::read_metadata(&bytes).map_err(|e| fail(format!("{e:?}")))?;
        let metadata = head.metadata().clone().unwrap_or_default();
        let view = choose(&file, name).map_err(&fail)?;
        let [rows, width] = *view.shape() else {
            return Err(fail(format!(
                "tensor `{name}` has the shape {:?}, not rows x numbers",
                view.shape()
            )));
        };
        if rows == 0 || width == 0 {
            return Err(fail(format!("tensor `{name}` is empty ({rows} x {width})")));
        }
        let values = floats(&view).ok_or_else(|| {
            fail(format!("tensor `{name}` is {:?}; write F32, F64, F16 or BF16", view.dtype()))
        })?;
        if let Some(at) = values.iter().position(|x| !x.is_finite()) {
            return Err(fail(format!(
                "row {}: number {} is not finite; the model that made it overflowed, make the row again in f32",
                at / width + 1,
                at % width + 1
            )));
        }
        let digests = match file.tensor("text_sha256") {
            Err(_) => None,
            Ok(view) if view.dtype() == Dtype::U8 && view.shape() == [rows, 32] => {
                Some(view.data().as_chunks().0.to_vec())
            }
            Ok(view) => {
                let (dtype, shape) = (view.dtype(), view.shape());
                return Err(fail(format!(
                    "tensor `text_sha256` is {dtype:?} {shape:?}; it must be U8 [{rows}, 32]"
                )));
            }
        };
        Ok(Self { width, values, digests, metadata })
    }

    /// Writes the table as the tensor `name`, by temporary name and rename.
    pub fn write(&self, path: &Path, name: &str) -> Result<()> {
        let fail = |what: String| anyhow!("{}: {what}", path.display());
        let bytes: Vec<u8> = self.values.iter().flat_map(|x| x.to_le_bytes()).collect();
        let digests: Vec<u8> = self.digests.iter().flatten().flatten().copied().collect();
        let view = |dtype, shape, data| {
            TensorView::new(dtype, shape, data).map_err(|e| fail(format!("{e:?}")))
        };
        let mut tensors = vec![(name, view(Dtype::F32, vec![self.len(), self.width], &bytes)?)];
        if self.digests.is_some() {
            tensors.push(("text_sha256", view(Dtype::U8, vec![self.len(), 32], &digests)?));
        }
        let metadata = (!self.metadata.is_empty()).then(|| self.metadata.clone());
        let whole = safetensors::serialize(tensors, metadata);
        let whole = whole.map_err(|e| fail(format!("{e:?}")))?;
        qdllm_host::files::write_whole(path, whole).map_err(|e| fail(e.to_string()))
    }
}

/// The tensor of that name, or the only table of floats.
fn choose<'f>(file: &SafeTensors<'f>, name: &str) -> Result<TensorView<'f>, String> {
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
        0 => Err(format!("holds no two-dimensional tensor; name it `{name}`")),
        _ => {
            let mut names: Vec<String> = tables.into_iter().map(|(name, _)| name).collect();
            names.sort();
            Err(format!("holds the tensors {}; name the one to use `{name}`", names.join(", ")))
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
            let message = Table::read(&path, "vectors").unwrap_err().to_string();
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
