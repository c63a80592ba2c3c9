//! Weights by name, from safetensors files or a GGUF file.

pub mod gguf;
pub mod safetensors;

use std::path::Path;

use candle_core::Tensor;

use crate::teacher::TeacherError;

pub trait Tensors {
    fn get(&mut self, name: &str) -> Result<Option<Tensor>, TeacherError>;
    /// The shape of a tensor, `None` when there is none of that name.
    fn shape(&self, name: &str) -> Option<Vec<usize>>;
    /// What errors name: the file, or the index of the files.
    fn path(&self) -> &Path;
    /// The tensor's name in the file, where that is another one.
    fn own_name(&self, name: &str) -> String {
        name.to_owned()
    }
}
