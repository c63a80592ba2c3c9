//! Soft labels: a teacher's logits for texts, kept as JSON lines under the texts' SHA-256.
//!
//! The first line is a header, every other line is one text:
//!
//! ```text
//! {"qdllm_soft":1,"classes":["off","on"],"teacher":{"name":"..","digest":"..","method":"..","command":".."}}
//! {"text_sha256":"<64 hex digits>","logits":[-1.25,3.0312]}
//! ```
//!
//! A row may name its text in place of the digest (`"text":".."`), and a header may leave the teacher out: what other
//! programs write ([`SoftLabels::open`] reads safetensors, too).
//!
//! Logits stand in the order of the header's classes, with at most four decimals. A row may carry a
//! `teacher` object of its own, which is not read. Rows are found by text, so the order of the file
//! does not matter and one file can serve several data files.

mod error;
mod labels;
mod precomputed;
mod reader;
mod record;
mod writer;

pub use error::{SoftError, SoftFault};
pub use labels::SoftLabels;
pub use record::TeacherInfo;
pub use writer::SoftWriter;
