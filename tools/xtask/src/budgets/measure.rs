//! Builds one measuring image, boots it and reads what it says.

use super::file::{Figures, Image};
use crate::boards::BOARDS;
use crate::elf;
use crate::emulator::Device;
use crate::firmware::Program;
use crate::repo::Repo;
use anyhow::{Context, Result, ensure};
use std::path::Path;

/// The figures of an image with `model`.
pub fn measure(repo: &Repo, image: &Image, model: &Path) -> Result<Figures> {
    let features = image.backends.join(",");
    let program = Program {
        package: "qdllm-mps2-an386",
        name: "measure",
        target: &image.target,
        profile: &image.profile,
        features: Some(&features),
    };
    let file = program.build(repo)?;
    let text_bytes = u32::try_from(elf::flash_bytes(&file)?)?;
    elf::no_panics(&file)?;
    let mut device = Device::boot(&BOARDS[0], &file, Some(model))?;
    let mut figures = Figures { text_bytes, ..Figures::default() };
    for backend in &image.backends {
        let line = device.line().with_context(|| format!("{backend}: no figures"))?;
        let field = |name: &str| -> Result<u32> {
            let fields = line.split('\t').filter_map(|field| field.split_once('='));
            let found = fields.into_iter().find(|(key, _)| *key == name);
            let (_, value) = found.with_context(|| format!("no {name} in {line:?}"))?;
            u32::from_str_radix(value, 16).with_context(|| format!("{name} in {line:?}"))
        };
        ensure!(line.contains(&format!("backend={backend}\t")), "{line:?} is not of {backend}");
        let instructions = field("instructions")?;
        ensure!(instructions > 0, "the board does not count instructions");
        if image.backends.len() == 1 {
            figures.instructions = instructions;
        }
        figures.ram_bytes = figures.ram_bytes.max(field("static")? + field("stack")?);
    }
    let code = device.code()?;
    ensure!(code == 0, "the image ended with code {code}");
    Ok(figures)
}
