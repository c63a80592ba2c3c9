//! The model file, specified in `FORMAT.md`: container, sections, encoder and decoder.

pub mod container;
pub(crate) mod decode;
#[cfg(feature = "alloc")]
pub mod encode;
pub mod floats;
pub mod meta;
pub mod signature;

#[cfg(feature = "alloc")]
pub use container::write;
pub use container::{
    CHECKSUM_BYTES, Container, ENTRY_BYTES, HEADER_BYTES, Kind, MAGIC, OPTIONAL, VERSION, checksum,
};
