//! Finds the drive that a UF2 boot loader shows.

use std::fs;
use std::path::{Path, PathBuf};

/// The file on every such drive that says what it is.
const INFO: &str = "INFO_UF2.TXT";

/// The mounted drive whose information names a board that begins with `board_id`.
pub fn find(board_id: &str) -> Option<PathBuf> {
    mounted().into_iter().find(|folder| is_drive(folder, board_id))
}

pub fn is_drive(folder: &Path, board_id: &str) -> bool {
    let text = fs::read_to_string(folder.join(INFO)).unwrap_or_default();
    let ids = text.lines().filter_map(|line| line.split_once(':'));
    ids.into_iter().any(|(key, id)| {
        key.trim().eq_ignore_ascii_case("Board-ID") && id.trim().starts_with(board_id)
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
