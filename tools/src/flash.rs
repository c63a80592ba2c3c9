//! Writes an image to a board: by the drive that its UF2 boot loader shows, or by probe-rs through a debug
//! probe.

use crate::image::Memory;
use anyhow::{Context, Result, bail};
use qdllm_host::boards::{Board, Drive};
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PROBE_RS: &str = "probe-rs";

/// The mounted drive of the boot loader, or `given`, which must be one.
pub fn find(drive: &Drive, given: Option<&Path>) -> Result<Option<PathBuf>> {
    let Some(folder) = given else {
        return Ok(mounted().into_iter().find(|folder| shows(folder, drive)));
    };
    if shows(folder, drive) {
        return Ok(Some(folder.to_path_buf()));
    }
    bail!(
        "{}: no drive of this board (its INFO_UF2.TXT would name {}); {} and look where your system \
         mounts it",
        folder.display(),
        drive.board_id,
        drive.how
    );
}

/// Whether the folder's information names a board that begins with the drive's.
fn shows(folder: &Path, drive: &Drive) -> bool {
    let text = fs::read_to_string(folder.join("INFO_UF2.TXT")).unwrap_or_default();
    text.lines().filter_map(|line| line.split_once(':')).any(|(key, id)| {
        key.trim().eq_ignore_ascii_case("Board-ID") && id.trim().starts_with(&drive.board_id)
    })
}

/// Where systems mount drives: what the kernel lists, and the folders of desktops and macOS.
fn mounted() -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let listed = table.lines().filter_map(|line| line.split(' ').nth(1));
    // The kernel writes a space as its octal code.
    let mut found: Vec<PathBuf> = listed.map(|path| path.replace("\\040", " ").into()).collect();
    for parent in ["/Volumes", "/media", "/run/media"] {
        for folder in folders(Path::new(parent)) {
            found.extend(folders(&folder));
            found.push(folder);
        }
    }
    found
}

fn folders(parent: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

/// Writes the UF2 file; the boot loader starts the board when it has all of it.
pub fn copy(folder: &Path, memory: &Memory, drive: &Drive) -> Result<PathBuf> {
    let path = folder.join("qdllm.uf2");
    let name = || format!("{}: cannot be written", path.display());
    let mut file = fs::File::create(&path).with_context(name)?;
    file.write_all(&memory.uf2(drive.family)).with_context(name)?;
    // The drive goes away as soon as it has everything, which some systems report here.
    let _ = file.sync_all();
    Ok(path)
}

/// Writes and resets the board's chip, which probe-rs calls `chip`.
pub fn probe(board: &Board, chip: &str, memory: &Memory) -> Result<()> {
    let mut file = tempfile::Builder::new().prefix("qdllm-").suffix(".hex").tempfile()?;
    file.write_all(memory.hex().as_bytes())?;
    let path = file.path().display().to_string();
    let or_drive = || {
        board.drive.as_ref().map_or_else(String::new, |Drive { how, board_id, .. }| {
            format!(", or {how} so that the drive {board_id} shows, and run this again")
        })
    };
    let steps: [&[&str]; 2] = [
        &["download", "--chip", chip, "--binary-format", "hex", &path],
        &["reset", "--chip", chip],
    ];
    for arguments in steps {
        let shown = format!("{PROBE_RS} {}", arguments.join(" "));
        // Its progress and its complaints are for the person; standard output stays ours.
        let status = Command::new(PROBE_RS).args(arguments).stdout(Stdio::null()).status();
        match status {
            Ok(status) if status.success() => {}
            Ok(status) => bail!(
                "`{shown}` failed: {status}; check that the probe is plugged in and wired to the board \
                 (`{PROBE_RS} list` shows it), and that nothing else uses it{}",
                or_drive()
            ),
            Err(error) if error.kind() == ErrorKind::NotFound => bail!(
                "{PROBE_RS} is not on PATH; install it with `cargo install probe-rs-tools --locked` and \
                 connect a debug probe{}",
                or_drive()
            ),
            Err(error) => return Err(error).with_context(|| format!("cannot start `{shown}`")),
        }
    }
    Ok(())
}
