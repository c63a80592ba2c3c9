//! What `qdllm export` writes.

use super::*;
use crate::emulated::program;
use qdllm_runtime::format::{Kind, write};

fn export(work: &TempDir, model: &[u8], header: &str) -> Result<String> {
    let (file, header) = (work.path().join("exported.qdm"), work.path().join(header));
    fs::write(&file, model)?;
    Command::new(program("qdllm")?).arg("export").arg(file).arg("--c").arg(&header).read()?;
    Ok(fs::read_to_string(header)?)
}

#[test]
fn example_is_what_the_command_writes() -> Result<()> {
    let header = export(&TempDir::new()?, &example()?, "model.h")?;
    let kept = fs::read_to_string(folder()?.join("examples/Commands/model.h"))?;
    ensure!(header == kept, "export the model of firmware/c/examples/Commands/model.h anew");
    Ok(())
}

/// Class names may be such as no C name is, or as would end a comment.
#[test]
fn any_class_names_make_a_header_that_compiles() -> Result<()> {
    if !there("an exported header", &["gcc"], "gcc") {
        return Ok(());
    }
    let model = example()?;
    let model = Model::parse(&model)?;
    let mut labels = vec![8];
    for name in ["a b", "a_b", "A-B", "*/ int x; /*", "bytes", "é", "\\", "\"??/"] {
        labels.push(name.len() as u8);
        labels.extend(name.as_bytes());
    }
    let section = |&kind: &Kind| {
        let found =
            if kind == Kind::Labels { Some(&labels[..]) } else { model.container().get(kind) };
        found.map(|bytes| (kind, bytes.to_vec()))
    };
    let changed = write(&Kind::ALL.iter().filter_map(section).collect::<Vec<_>>());
    let work = TempDir::new()?;
    let header = export(&work, &changed, "other.h")?;
    for line in ["OTHER_BYTES_4 = 4", "OTHER_A_B_2 = 2", "other[OTHER_BYTES]"] {
        ensure!(header.contains(line), "no {line:?} in {header}");
    }
    let user = work.path().join("user.c");
    fs::write(
        &user,
        "#include \"other.h\"\nint main(void) { return other[0] == 'Q' ? OTHER_A_B : 1; }\n",
    )?;
    let mut gcc = Command::new("gcc");
    gcc.args(STRICT).arg("-I").arg(folder()?.join("src")).arg("-I").arg(work.path());
    gcc.arg(&user).arg("-o").arg(work.path().join("user")).read()?;
    Command::new(work.path().join("user")).read().map(drop)
}

/// The README's program does what it says.
#[test]
fn the_program_of_the_readme_runs() -> Result<()> {
    if !there("the README's program", &["gcc"], "gcc") {
        return Ok(());
    }
    let readme = fs::read_to_string(folder()?.join("README.md"))?;
    let program = readme.split("```c\n").nth(1).and_then(|rest| rest.split("```").next());
    let (work, program) = (TempDir::new()?, program.context("a program in the README")?);
    let (source, out) = (work.path().join("user.c"), work.path().join("user"));
    fs::write(&source, program)?;
    let mut gcc = Command::new("gcc");
    gcc.current_dir(folder()?).args(STRICT).args(["-Isrc", "-Iexamples/Commands"]);
    gcc.args(["src/qdllm.c"]).arg(&source).arg("-o").arg(&out).read()?;
    Command::new(out).read().map(drop)
}
