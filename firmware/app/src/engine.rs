//! The back end that a firmware image is built with.

use qdllm_link::Fault;
use qdllm_runtime::{Error, Model, Prediction};

/// A way to run a model, with all the memory that it writes beside the stack.
pub trait Engine {
    /// Its name in `info`.
    const NAME: &'static str;

    /// Says whether this engine can run `model` at all; a model is asked before it is activated and
    /// at every start.
    ///
    /// # Errors
    /// What stands against it, such as a compiled back end that the model does not carry.
    fn check(&self, _: &Model<'_>) -> Result<(), Fault> {
        Ok(())
    }

    /// Classifies a text.
    ///
    /// # Errors
    /// Those of the runtime.
    fn classify<'s>(&'s mut self, model: &Model<'_>, text: &str) -> Result<Prediction<'s>, Error>;
}

#[cfg(feature = "statevector")]
impl Engine for qdllm_runtime::Scratch {
    const NAME: &'static str = "statevector f32";

    fn classify<'s>(&'s mut self, model: &Model<'_>, text: &str) -> Result<Prediction<'s>, Error> {
        model.classify(text, self)
    }
}

#[cfg(feature = "statevector-i16")]
impl Engine for qdllm_runtime::ScratchI16 {
    const NAME: &'static str = "statevector i16";

    fn classify<'s>(&'s mut self, model: &Model<'_>, text: &str) -> Result<Prediction<'s>, Error> {
        model.classify_i16(text, self)
    }
}

/// The compiled polynomial: room for one probability a class is all that it needs.
#[cfg(feature = "polynomial")]
pub type Polynomial = qdllm_runtime::Probabilities;

#[cfg(feature = "polynomial")]
impl Engine for Polynomial {
    const NAME: &'static str = "polynomial";

    fn check(&self, model: &Model<'_>) -> Result<(), Fault> {
        model.polynomial().map(drop).ok_or(Error::NoBackEnd.into())
    }

    fn classify<'s>(&'s mut self, model: &Model<'_>, text: &str) -> Result<Prediction<'s>, Error> {
        model.classify_by_polynomial(text, self)
    }
}

/// The compiled tensor train, with its work space and room for one probability a class.
#[cfg(feature = "tensor-train")]
#[derive(Debug, Default)]
pub struct TensorTrain {
    work: qdllm_runtime::compiled::tensor_train::Work,
    probabilities: qdllm_runtime::Probabilities,
}

#[cfg(feature = "tensor-train")]
impl TensorTrain {
    /// Fresh memory; usable in a `static`.
    pub const fn new() -> Self {
        let work = qdllm_runtime::compiled::tensor_train::Work::new();
        Self { work, probabilities: qdllm_runtime::Probabilities::new() }
    }
}

#[cfg(feature = "tensor-train")]
impl Engine for TensorTrain {
    const NAME: &'static str = "tensor train";

    fn check(&self, model: &Model<'_>) -> Result<(), Fault> {
        model.tensor_train().map(drop).ok_or(Error::NoBackEnd.into())
    }

    fn classify<'s>(&'s mut self, model: &Model<'_>, text: &str) -> Result<Prediction<'s>, Error> {
        model.classify_by_tensor_train(text, &mut self.work, &mut self.probabilities)
    }
}
