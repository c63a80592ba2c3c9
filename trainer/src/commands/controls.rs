//! `qdllm controls`: trains the controls and says how good, big and slow they are.

use crate::commands::print_in_line;
pub use crate::controls::ControlsArgs;
use crate::controls::{Summary, measure};
use anyhow::Result;
use std::fmt;

pub fn run(args: &ControlsArgs) -> Result<()> {
    print_in_line(&measure(args)?, args.json)
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "trained on {} texts, tested on {}, {} classes, {} bad rows skipped",
            self.train_texts,
            self.test_texts,
            self.classes.len(),
            self.skipped_rows
        )?;
        writeln!(f, "control   accuracy  std error  macro F1     bytes  train seconds")?;
        self.controls.iter().try_for_each(|o| {
            let name = format!("{:?}", o.control).to_lowercase();
            let (accuracy, error, f1) = (o.accuracy, o.standard_error, o.macro_f1);
            let (bytes, seconds) = (o.measured.bytes, o.measured.train_seconds);
            writeln!(
                f,
                "{name:8}  {accuracy:8.4}  {error:9.4}  {f1:8.4}  {bytes:8}  {seconds:13.1}"
            )
        })
    }
}
