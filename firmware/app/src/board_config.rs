//! What a board says about itself, once, when it starts the app.

use crate::flash::Layout;
use qdllm_runtime::MAX_CLASSES;

/// A sentence that a model must classify before it is confirmed.
pub const PROBE: &str = "turn on the light in the kitchen";

/// A board's name, slots and limits.
#[derive(Clone, Copy, Debug)]
pub struct BoardConfig {
    pub(crate) name: &'static str,
    pub(crate) layout: Layout,
    pub(crate) ahead_bytes: u16,
    pub(crate) max_classes: u8,
    pub(crate) probe: &'static str,
    #[cfg(feature = "signing")]
    pub(crate) key: Option<[u8; 32]>,
}

impl BoardConfig {
    /// A board of this name, with its slots.
    pub const fn new(name: &'static str, layout: Layout) -> Self {
        Self {
            name,
            layout,
            ahead_bytes: 0,
            max_classes: MAX_CLASSES as u8,
            probe: PROBE,
            #[cfg(feature = "signing")]
            key: None,
        }
    }

    /// How many bytes the port itself keeps while the app is busy with flash: by DMA, by interrupt,
    /// by a USB host that waits. The sender of a model runs ahead by that much. With 0, the default,
    /// it waits for every answer.
    pub const fn with_ahead_bytes(mut self, bytes: u16) -> Self {
        self.ahead_bytes = bytes;
        self
    }

    /// Refuses models with more classes than this.
    pub const fn with_max_classes(mut self, classes: u8) -> Self {
        self.max_classes = classes;
        self
    }

    /// Tries new models with this sentence instead of [`PROBE`].
    pub const fn with_probe(mut self, text: &'static str) -> Self {
        self.probe = text;
        self
    }

    /// Takes only models signed with the secret half of this Ed25519 public key.
    #[cfg(feature = "signing")]
    pub const fn with_key(mut self, public: [u8; 32]) -> Self {
        self.key = Some(public);
        self
    }
}
