//! Images of boards as a user makes them: every format byte for byte, read back, and every refusal.

use crate::{BINARY, model, run};
use qdllm_host::boards::with_flash;
use qdllm_tools::image::{Memory, named};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), ".."].iter().collect()
}

/// A 32-bit ELF with one loadable segment, as small as it can be.
fn elf(address: u32, bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![0; 52 + 32];
    file[..7].copy_from_slice(b"\x7fELF\x01\x01\x01");
    file[18] = 40;
    file[28] = 52;
    (file[42], file[44]) = (32, 1);
    for (at, word) in [(52, 1), (56, 84), (64, address), (68, bytes.len() as u32)] {
        file[at..at + 4].copy_from_slice(&word.to_le_bytes());
    }
    file.extend_from_slice(bytes);
    file
}

/// What an Intel HEX text says, by address; a reader of its own, from the format's definition.
fn read_hex(text: &str) -> BTreeMap<u32, u8> {
    let mut memory = BTreeMap::new();
    let (mut upper, mut ended) = (0, false);
    for line in text.lines() {
        assert!(!ended, "a record after the end");
        let digits = line.strip_prefix(':').unwrap();
        let record: Vec<u8> = (0..digits.len() / 2)
            .map(|i| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).unwrap())
            .collect();
        assert_eq!(record.iter().fold(0_u8, |sum, &byte| sum.wrapping_add(byte)), 0, "{line}");
        assert_eq!(record.len(), 5 + usize::from(record[0]), "{line}");
        let address = u32::from(record[1]) << 8 | u32::from(record[2]);
        let data = &record[4..record.len() - 1];
        match record[3] {
            0 => {
                assert!(address as usize + data.len() <= 0x1_0000, "{line} carries");
                for (at, &byte) in (upper + address..).zip(data) {
                    assert_eq!(memory.insert(at, byte), None, "{at:#x} twice");
                }
            }
            1 => ended = true,
            4 => upper = u32::from(data[0]) << 24 | u32::from(data[1]) << 16,
            other => panic!("record of type {other}"),
        }
    }
    assert!(ended);
    memory
}

/// What a UF2 file says, by address; likewise.
fn read_uf2(file: &[u8], family: u32) -> BTreeMap<u32, u8> {
    let mut memory = BTreeMap::new();
    assert_eq!(file.len() % 512, 0);
    let count = file.len() / 512;
    for (number, block) in file.chunks_exact(512).enumerate() {
        let word = |at: usize| u32::from_le_bytes(block[at..at + 4].try_into().unwrap());
        assert_eq!((word(0), word(4), word(508)), (0x0A32_4655, 0x9E5D_5157, 0x0AB1_6F30));
        assert_eq!((word(8), word(28)), (0x2000, family));
        assert_eq!((word(20) as usize, word(24) as usize), (number, count));
        let (address, length) = (word(12), word(16));
        assert_eq!((address % 256, length), (0, 256));
        for (at, &byte) in (address..).zip(&block[32..288]) {
            assert_eq!(memory.insert(at, byte), None, "{at:#x} twice");
        }
        assert!(block[288..508].iter().all(|&byte| byte == 0));
    }
    memory
}

fn pieces(all: &[(u32, &[u8])]) -> Memory {
    let mut memory = Memory::default();
    for (address, bytes) in all {
        memory.add(*address, bytes).unwrap();
    }
    memory
}

#[test]
fn hex_is_byte_for_byte_what_the_format_says() {
    let memory = pieces(&[(0x0800_FFFE, &[1, 2, 3, 4]), (0x10, b"0123456789abcdefg")]);
    let expected = "\
:020000040000FA
:10001000303132333435363738396162636465667E
:010020006778
:020000040800F2
:02FFFE000102FE
:020000040801F1
:020000000304F7
:00000001FF
";
    assert_eq!(memory.hex(), expected);
}

#[test]
fn uf2_is_byte_for_byte_what_the_format_says() {
    let file = pieces(&[(0x1000_0104, &[0xaa, 0xbb])]).uf2(0xe48b_ff56);
    let mut expected = Vec::new();
    expected.extend(b"UF2\n\x57\x51\x5d\x9e\x00\x20\x00\x00\x00\x01\x00\x10");
    expected.extend(b"\x00\x01\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x56\xff\x8b\xe4");
    expected.extend([0xff; 4]);
    expected.extend([0xaa, 0xbb]);
    expected.extend([0xff; 250]);
    expected.extend([0; 220]);
    expected.extend(b"\x30\x6f\xb1\x0a");
    assert_eq!(file, expected);
}

#[test]
fn a_slot_and_a_firmware_come_back_out_of_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let firmware = folder.path().join("firmware").display().to_string();
    let program: Vec<u8> = (0..70_000_u32).map(|i| (i * 7 % 251) as u8).collect();
    fs::write(&firmware, elf(0x1000_0000, &program)).unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (bin, hex, uf2) = (file("all.bin"), file("all.hex"), file("all.uf2"));
    for out in [&bin, &hex, &uf2] {
        let output = run(&[
            "image",
            "--board",
            "pico",
            "--model",
            &model(),
            "--firmware",
            &firmware,
            "-o",
            out,
        ]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let model = fs::read(model()).unwrap();
    let mut expected = program;
    expected.resize(0x10_0000, 0xff);
    let header = qdllm_link::slot::Header::of(&model, 1, 0).unwrap();
    expected.extend(qdllm_link::slot::factory(&header));
    expected.extend(&model);
    assert_eq!(fs::read(&bin).unwrap(), expected);
    let by_hex = read_hex(&fs::read_to_string(&hex).unwrap());
    let by_uf2 = read_uf2(&fs::read(&uf2).unwrap(), 0xe48b_ff56);
    assert_eq!(by_hex.len(), 70_000 + 256 + model.len());
    for (at, byte) in (0x1000_0000..).zip(expected) {
        assert_eq!(by_hex.get(&at).copied().unwrap_or(0xff), byte, "{at:#x}");
        assert_eq!(by_uf2.get(&at).copied().unwrap_or(0xff), byte, "{at:#x}");
    }
}

#[test]
fn the_second_slot_lies_behind_the_first() {
    let folder = tempfile::tempdir().unwrap();
    for (board, flash) in with_flash() {
        let out = folder.path().join("slot.bin").display().to_string();
        let output = run(&[
            "image",
            "--board",
            &board.name,
            "--model",
            &model(),
            "--slot",
            "1",
            "--json",
            "-o",
            &out,
        ]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["address"], flash.slots + flash.slot_bytes);
        assert!(fs::read(&out).unwrap().starts_with(b"QDSL"));
    }
}

#[test]
fn the_addresses_are_those_of_the_memory_maps() {
    for (board, flash) in with_flash() {
        let path = root().join("firmware/boards").join(&board.name).join("memory.x");
        let text = fs::read_to_string(&path).unwrap();
        let field = |name: &str| {
            let line = text.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
            let value = |key: &str| {
                let rest = line.split_once(key).unwrap().1.trim_start_matches([' ', '=']);
                number(rest.split([',', '}']).next().unwrap())
            };
            (value("ORIGIN"), value("LENGTH"))
        };
        let (start, length) = field("SLOTS");
        assert_eq!(start, flash.slots, "{}", board.name);
        assert_eq!(length, 2 * flash.slot_bytes, "{}", board.name);
        let first = if text.contains("BOOT2") { "BOOT2" } else { "FLASH" };
        assert_eq!(field(first).0, flash.start, "{}", board.name);
        let (start, bytes) = field("FLASH");
        assert!(start + bytes <= flash.slots, "{}", board.name);
    }
}

/// A number of a linker script: hexadecimal, decimal, with K, and differences.
fn number(text: &str) -> u32 {
    let mut parts = text.split('-').map(|part| {
        let part = part.trim();
        let (digits, unit) = part.strip_suffix('K').map_or((part, 1), |digits| (digits, 1024));
        let value = match digits.strip_prefix("0x") {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => digits.parse(),
        };
        value.unwrap() * unit
    });
    let first = parts.next().unwrap();
    parts.fold(first, |left, right| left - right)
}

#[test]
fn what_cannot_be_written_is_refused_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let text = write("text.elf", b"#!/bin/sh");
    let cut = write("cut.elf", &elf(0x1000_0000, &[1; 64])[..100]);
    let far = write("far.elf", &elf(0x0800_0000, &[1; 64]));
    let into = write("into.elf", &elf(0x100f_fff0, &[1; 64]));
    let damaged = write("damaged.qdm", &fs::read(model()).unwrap()[1..]);
    let (model, out) = (model(), folder.path().join("out.hex").display().to_string());
    let (odd, uf2) = (out.replace(".hex", ".elf"), out.replace(".hex", ".uf2"));
    for (arguments, message) in [
        (vec!["--board", "pica", "--model", &model, "-o", &out], "there are pico, pico2"),
        (vec!["--board", "pico", "-o", &out], "give --model, --firmware or both"),
        (
            vec!["--board", "pico", "--model", "absent.qdm", "-o", &out],
            "absent.qdm: cannot be read",
        ),
        (vec!["--board", "pico", "--model", &damaged, "-o", &out], "damaged.qdm"),
        (vec!["--board", "pico", "--model", &model, "--slot", "2", "-o", &out], "at most 1"),
        (vec!["--board", "pico", "--firmware", &text, "-o", &out], "no 32-bit little-endian ELF"),
        (
            vec!["--board", "pico", "--firmware", &cut, "-o", &out],
            "cut.elf: the firmware: the file is",
        ),
        (vec!["--board", "pico", "--firmware", &far, "-o", &out], "built for another board"),
        (vec!["--board", "pico", "--firmware", &into, "-o", &out], "outside the program's flash"),
        (vec!["--board", "pico", "--model", &model, "-o", &odd], "must end in .bin, .hex or .uf2"),
        (vec!["--board", "nucleo-f446", "--model", &model, "-o", &uf2], "no UF2 boot loader"),
    ] {
        let output = run(&[&["image"], &arguments[..]].concat());
        let stderr = String::from_utf8_lossy(&output.stderr);
        let wrong_use = ["there are pico", "give --model", "must end in", "at most 1"];
        let code = if wrong_use.iter().any(|start| message.starts_with(start)) { 2 } else { 1 };
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        assert!(stderr.contains(message), "{arguments:?}: {stderr}");
        assert!(![&out, &odd, &uf2].iter().any(|path| Path::new(path).exists()));
    }
}

#[test]
fn overlapping_pieces_are_refused_and_touching_ones_joined() {
    let mut memory = pieces(&[(16, &[1; 16])]);
    for (address, length) in [(16, 1), (31, 1), (0, 17), (10, 100), (20, 4)] {
        assert!(memory.add(address, &vec![2; length]).is_err(), "{address} {length}");
    }
    memory.add(32, &[3; 4]).unwrap();
    assert_eq!(memory.pieces().count(), 1);
    assert!(memory.add(u32::MAX, &[0; 2]).is_err());
    assert_eq!(named("pico").unwrap().1.slot(1), Some(0x1018_0000));
}

#[test]
fn flash_copies_to_the_drive_and_nowhere_else() {
    let drive = tempfile::tempdir().unwrap();
    let folder = drive.path().display().to_string();
    let flash = ["flash", "--board", "pico", "--model", &model(), "--drive", &folder];
    let refused = run(&flash);
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert!(stderr.contains("hold BOOTSEL") && stderr.contains("RPI-RP2"), "{stderr}");
    assert_eq!(fs::read_dir(drive.path()).unwrap().count(), 0);
    let info = "UF2 Bootloader v3.0\r\nModel: Raspberry Pi RP2\r\nBoard-ID: RPI-RP2\r\n";
    fs::write(drive.path().join("INFO_UF2.TXT"), info).unwrap();
    let output = run(&flash);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let written = read_uf2(&fs::read(drive.path().join("qdllm.uf2")).unwrap(), 0xe48b_ff56);
    let model = fs::read(model()).unwrap();
    for (at, byte) in (0x1010_0100..).zip(&model) {
        assert_eq!(written.get(&at), Some(byte), "{at:#x}");
    }
}

#[test]
fn a_missing_tool_is_named_with_what_to_do() {
    let empty = tempfile::tempdir().unwrap();
    for (board, expected) in [
        ("nucleo-f446", vec!["probe-rs is not on PATH", "cargo install probe-rs-tools --locked"]),
        ("pico", vec!["probe-rs is not on PATH", "hold BOOTSEL", "RPI-RP2"]),
        ("mps2-an386", vec!["is an emulator", "cargo run"]),
    ] {
        let arguments = ["flash", "--board", board, "--probe", "--model", &model()];
        let output =
            Command::new(BINARY).args(arguments).env("PATH", empty.path()).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(expected.iter().all(|part| stderr.contains(part)), "{stderr}");
    }
}

/// A folder with the few programs that the script needs, and no other.
#[cfg(unix)]
fn few_programs() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["sh", "dirname", "realpath"] {
        let found = ["/bin", "/usr/bin"].map(|place| Path::new(place).join(name));
        let found = found.iter().find(|path| path.exists()).unwrap();
        std::os::unix::fs::symlink(found, folder.path().join(name)).unwrap();
    }
    folder
}

/// The runner of boards with a probe, as `cargo run` calls it.
#[cfg(unix)]
fn run_probe(arguments: &[&str], path: &Path, model: Option<&str>) -> (bool, String) {
    let mut command = Command::new("/bin/sh");
    command.arg(root().join("firmware/boards/run-probe.sh")).args(arguments);
    command.env_clear().env("PATH", path).env("QDLLM_HW", BINARY);
    command.envs(model.map(|model| ("QDLLM_MODEL", model)));
    let output = command.output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[cfg(unix)]
#[test]
fn the_runner_of_boards_with_a_probe_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    // A blank in the name: it must arrive as one argument.
    let image = folder.path().join("the image.elf");
    fs::write(&image, elf(0, &[1; 64])).unwrap();
    let image = image.display().to_string();
    let programs = few_programs();
    let (good, said) = run_probe(&["nrf52840-dk", &image], programs.path(), Some(&model()));
    assert!(
        !good && said.contains("probe-rs is not on PATH; install it with `cargo install"),
        "{said}"
    );
    let (good, said) = run_probe(&["nrf52840-dk", &image], programs.path(), Some("no such.qdm"));
    assert!(!good && said.contains("no such.qdm"), "{said}");
    let (good, said) = run_probe(&["nrf52840-dk"], programs.path(), None);
    assert!(!good && said.contains("usage: run-probe.sh BOARD IMAGE"), "{said}");
    // With a probe-rs that does as it is told, the next step is named.
    let probe = programs.path().join("probe-rs");
    fs::write(&probe, "#!/bin/sh\nexit 0\n").unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&probe, executable).unwrap();
    let (good, said) = run_probe(&["nrf52840-dk", &image], programs.path(), None);
    assert!(good && said.contains("flashed; for the console name"), "{said}");
}

#[test]
fn every_board_of_the_folder_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.hex").display().to_string();
    let boards = fs::read_dir(root().join("firmware/boards")).unwrap().flatten();
    for board in boards.filter(|entry| entry.path().join("Cargo.toml").is_file()) {
        let name = board.file_name().into_string().unwrap();
        for command in ["image", "flash"] {
            let more = if command == "image" { &["-o", &out][..] } else { &["--probe"] };
            let start = [command, "--board", &name, "--model", "absent.qdm"];
            let error = String::from_utf8(run(&[&start[..], more].concat()).stderr).unwrap();
            let known = error.contains("absent.qdm");
            let named = error.contains("takes no image of this program: espflash")
                && error.contains("cargo run");
            assert!(known != named, "{command} {name}: {error}");
        }
    }
    let error = String::from_utf8(run(&["image", "--board", "pica", "-o", &out]).stderr).unwrap();
    assert!(error.contains("no board is called") && error.contains("esp32-c3"), "{error}");
}
