//! Soft label files: written, resumed, read, and refused when they do not hold what they say.

use std::fs;
use std::path::Path;

use qdllm_trainer::data::soft::{SoftLabels, SoftWriter, TeacherInfo};
use qdllm_trainer::data::text_digest;
use tempfile::TempDir;

fn classes() -> Vec<String> {
    vec!["off".to_owned(), "on".to_owned()]
}

fn teacher() -> TeacherInfo {
    TeacherInfo {
        name: "probe".to_owned(),
        digest: "00ff".to_owned(),
        method: "layer 20, mean".to_owned(),
        command: "qdllm teach".to_owned(),
        refused: Vec::new(),
    }
}

fn hex(text: &str) -> String {
    text_digest(text).iter().map(|b| format!("{b:02x}")).collect()
}

const HEADER: &str =
    r#"{"qdllm_soft":1,"classes":["off","on"],"teacher":{"name":"n","digest":"d","method":"m"}}"#;

/// Reads a file of these lines and returns the line of the error and what is said of it.
fn fault(lines: &[&str]) -> (u64, String) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("soft.jsonl");
    fs::write(&path, lines.join("\n") + "\n").unwrap();
    let said = format!("{:#}", SoftLabels::read(&path).unwrap_err());
    let place = said.strip_prefix(&format!("{}:", path.display()));
    let (line, what) = place.and_then(|place| place.split_once(": ")).expect(&said);
    (line.parse().expect(&said), what.to_owned())
}

/// Asserts that a row is refused in these words.
fn refused(row: &str, words: &str) {
    let row = row.replace("HEX", &hex("a"));
    let (line, said) = fault(&[HEADER, &row]);
    assert!(line == 2 && said.contains(words), "{line}: {said}");
}

const NO_HEADER: &str = "no header: line 1 must be";

#[test]
fn what_is_written_is_read() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("soft.jsonl");
    let mut writer = SoftWriter::open(&path, &classes(), &teacher()).unwrap();
    assert!(writer.append("light on", &[-1.234_56, 2.0]).unwrap());
    assert!(writer.append("dark", &[-0.000_01, 1e-3]).unwrap());
    assert!(!writer.append("dark", &[5.0, 5.0]).unwrap(), "done already");
    writer.flush().unwrap();
    drop(writer);

    let text = fs::read_to_string(&path).unwrap();
    let rows: Vec<&str> = text.lines().collect();
    let first = format!(r#"{{"text_sha256":"{}","logits":[-1.2346,2]}}"#, hex("light on"));
    assert_eq!(rows[1], first);
    assert!(rows[2].ends_with(r#""logits":[0,0.001]}"#), "{}", rows[2]);

    let soft = SoftLabels::read(&path).unwrap();
    assert_eq!(soft.classes, classes());
    assert_eq!(soft.teacher, teacher());
    assert_eq!(soft.texts(), 2);
    assert_eq!(soft.get("light on"), Some(&[-1.2346_f32, 2.0][..]));
    assert_eq!(soft.get("light  on"), None);
    assert_eq!(soft.digest, text_digest(&text));
}

#[test]
fn a_run_ended_at_any_byte_is_taken_up() {
    let dir = TempDir::new().unwrap();
    let whole = dir.path().join("whole.jsonl");
    let texts = ["a", "b", "c"];
    let run = |path: &Path| {
        let mut writer = SoftWriter::open(path, &classes(), &teacher()).unwrap();
        for (text, logit) in texts.iter().zip([1.0, 2.0, 3.0]) {
            if !writer.contains(text) {
                writer.append(text, &[logit, -logit]).unwrap();
            }
        }
        writer.done()
    };
    assert_eq!(run(&whole), 3);
    let bytes = fs::read(&whole).unwrap();
    for end in 0..=bytes.len() {
        let torn = dir.path().join("torn.jsonl");
        fs::write(&torn, &bytes[..end]).unwrap();
        assert_eq!(run(&torn), 3);
        assert_eq!(fs::read(&torn).unwrap(), bytes, "ended after {end} bytes");
    }
}

#[test]
fn another_header_is_refused_and_the_file_left_alone() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("soft.jsonl");
    drop(SoftWriter::open(&path, &classes(), &teacher()).unwrap());
    let before = fs::read(&path).unwrap();

    let mut other = teacher();
    other.digest = "11".to_owned();
    let error = SoftWriter::open(&path, &classes(), &other).unwrap_err();
    let said = error.to_string();
    assert!(said.contains("`teacher.digest` is `00ff`, this run has `11`"), "{said}");
    let swapped: Vec<String> = classes().into_iter().rev().collect();
    let error = SoftWriter::open(&path, &swapped, &teacher()).unwrap_err();
    assert!(error.to_string().contains("header field `classes` is"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);

    let mut command = teacher();
    command.command = "qdllm teach --jobs 2".to_owned();
    drop(SoftWriter::open(&path, &classes(), &command).unwrap());
    assert_eq!(fs::read(&path).unwrap(), before);

    for foreign in ["label\ttext\n", "no line end", "{}\n"] {
        fs::write(&path, foreign).unwrap();
        let error = SoftWriter::open(&path, &classes(), &teacher()).unwrap_err();
        assert!(error.to_string().contains(&format!(":1: {NO_HEADER}")), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), foreign);
    }
}

#[test]
fn the_writer_refuses_what_the_reader_would() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("soft.jsonl");
    let mut writer = SoftWriter::open(&path, &classes(), &teacher()).unwrap();
    for (logits, words) in [
        (&[0.0, f32::NAN][..], "not finite at place 2"),
        (&[f32::INFINITY, 0.0], "not finite at place 1"),
        (&[0.0], "has 1 numbers, the header has 2 classes"),
    ] {
        let said = writer.append("a", logits).unwrap_err().to_string();
        assert!(said.contains("soft.jsonl: cannot be written: ") && said.contains(words), "{said}");
    }
    assert_eq!(SoftLabels::read(&path).unwrap().texts(), 0);
    let one = ["on".to_owned()];
    assert!(SoftWriter::open(&dir.path().join("b"), &one, &teacher()).is_err());
    assert!(!dir.path().join("b").exists());
}

#[test]
fn bad_rows_are_named() {
    for (row, words) in [
        (
            r#"{"text_sha256":"HEX","logits":[NaN,1]}"#,
            "`logits` holds a number that is not finite at place 1",
        ),
        (r#"{"text_sha256":"HEX","logits":[1,-Infinity]}"#, "not finite at place 2"),
        (r#"{"text_sha256":"HEX","logits":[1,null]}"#, "not finite at place 2"),
        (r#"{"text_sha256":"HEX","logits":[1e39,1]}"#, "not finite at place 1"),
        (r#"{"text_sha256":"HEX","logits":[1,2,3]}"#, "has 3 numbers, the header has 2 classes"),
        (r#"{"text_sha256":"HEx","logits":[1,2]}"#, "`text_sha256` is not 64 hex digits"),
        (r#"{"logits":[1,2]}"#, "`text_sha256` is missing"),
        (r#"{"text_sha256":"HEX"}"#, "`logits` is missing"),
        (
            r#"{"text_sha256":"HEX","logits":[1,"2"]}"#,
            "`logits` is a string; it must be numbers only",
        ),
        (
            r#"{"text_sha256":"HEX","logits":[1,2],"teacher":"me"}"#,
            "`teacher` is a string; it must be an object",
        ),
        ("[1,2]", "`line` is an array; it must be an object"),
        ("{", "not valid JSON"),
    ] {
        refused(row, words);
    }
    let no_hex = format!(r#"{{"text_sha256":"{}","logits":[1,2]}}"#, "g".repeat(64));
    refused(&no_hex, "`text_sha256` is not 64 hex digits");
}

#[test]
fn rows_may_name_their_teacher_and_repeat_themselves_but_not_contradict() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("soft.jsonl");
    let same =
        format!(r#"{{"text_sha256":"{}","logits":[1,2],"teacher":{{"name":"x"}}}}"#, hex("a"));
    fs::write(&path, [HEADER, &same, "", &same].join("\r\n")).unwrap();
    let soft = SoftLabels::read(&path).unwrap();
    assert_eq!((soft.texts(), soft.get("a")), (1, Some(&[1.0_f32, 2.0][..])));
    assert_eq!(soft.teacher.command, "");
    let other = same.replace("[1,2]", "[1,3]");
    let (line, said) = fault(&[HEADER, &same, &other]);
    assert!(line == 3 && said.contains("an earlier line, with other logits"), "{line}: {said}");
}

#[test]
fn bad_headers_are_named() {
    for (line, header, words) in [
        (2, "", NO_HEADER),
        (1, "a\tb", NO_HEADER),
        (
            1,
            &HEADER.replace("\"qdllm_soft\":1", "\"qdllm_soft\":2"),
            "`qdllm_soft` is 2, this program",
        ),
    ] {
        let (at, said) = fault(&[header]);
        assert!(at == line && said.contains(words), "{at}: {said}");
    }
    for (from, to, field) in [
        (r#""off","on""#, r#""on","on""#, "classes"),
        (r#""off","on""#, r#""on""#, "classes"),
        (r#""off","on""#, r#""on",1"#, "classes"),
        (r#""digest":"d","#, "", "teacher"),
    ] {
        let (line, said) = fault(&[&HEADER.replace(from, to)]);
        assert!(line == 1 && said.contains(&format!("header field `{field}` ")), "{line}: {said}");
    }
}

#[test]
fn a_torn_file_is_refused_by_the_reader_with_the_remedy() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("soft.jsonl");
    fs::write(&path, format!("{HEADER}\n{{\"text_sha256\":\"12")).unwrap();
    for (path, words) in [
        (path.as_path(), ":2: the last line breaks off"),
        (&dir.path().join("none.jsonl"), "cannot open the soft label file"),
        (dir.path(), "is a directory; name a soft label file"),
    ] {
        let error = SoftLabels::read(path).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
}
