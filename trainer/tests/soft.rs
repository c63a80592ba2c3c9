//! Soft label files: written, resumed, read, and refused when they do not hold what they say.

use std::fs;
use std::path::Path;

use qdllm_host::errors::FileError;
use qdllm_trainer::data::soft::{SoftError, SoftFault, SoftLabels, SoftWriter, TeacherInfo};
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
    }
}

fn hex(text: &str) -> String {
    text_digest(text).iter().map(|b| format!("{b:02x}")).collect()
}

const HEADER: &str =
    r#"{"qdllm_soft":1,"classes":["off","on"],"teacher":{"name":"n","digest":"d","method":"m"}}"#;

fn what(error: &SoftError) -> &SoftFault {
    match error {
        SoftError::File(error) => &error.what,
        other => panic!("{other}"),
    }
}

/// Reads a file of these lines and returns the fault and its line.
fn fault(lines: &[&str]) -> (u64, SoftFault) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("soft.jsonl");
    fs::write(&path, lines.join("\n") + "\n").unwrap();
    let error = SoftLabels::read(&path).unwrap_err();
    let said = error.to_string();
    match error {
        SoftError::File(FileError { line: Some(line), what, .. }) => {
            assert!(said.starts_with(&format!("{}:{line}: ", path.display())), "{said}");
            (line, what)
        }
        other => panic!("{other}"),
    }
}

fn row_fault(row: &str) -> SoftFault {
    let row = row.replace("HEX", &hex("a"));
    let (line, fault) = fault(&[HEADER, &row]);
    assert_eq!(line, 2);
    fault
}

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
    assert_eq!(soft.len(), 2);
    assert_eq!(soft.get("light on"), Some(&[-1.2346_f32, 2.0][..]));
    assert_eq!(soft.get("light  on"), None);
    assert_eq!(soft.digest(), text_digest(&text));
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
    assert!(matches!(what(&error), SoftFault::OtherHeader { field: "classes", .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);

    let mut command = teacher();
    command.command = "qdllm teach --jobs 2".to_owned();
    drop(SoftWriter::open(&path, &classes(), &command).unwrap());
    assert_eq!(fs::read(&path).unwrap(), before);

    for foreign in ["label\ttext\n", "no line end", "{}\n"] {
        fs::write(&path, foreign).unwrap();
        let error = SoftWriter::open(&path, &classes(), &teacher()).unwrap_err();
        assert!(
            matches!(what(&error), SoftFault::NoHeader) && error.to_string().contains(":1: "),
            "{error}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), foreign);
    }
}

#[test]
fn the_writer_refuses_what_the_reader_would() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("soft.jsonl");
    let mut writer = SoftWriter::open(&path, &classes(), &teacher()).unwrap();
    let fault = |result: Result<bool, SoftError>| match result {
        Err(SoftError::File(FileError { what: SoftFault::Append(fault), .. })) => *fault,
        other => panic!("{other:?}"),
    };
    assert_eq!(fault(writer.append("a", &[0.0, f32::NAN])), SoftFault::NotFinite(2));
    assert_eq!(fault(writer.append("a", &[f32::INFINITY, 0.0])), SoftFault::NotFinite(1));
    let count = SoftFault::Count { found: 1, expected: 2 };
    assert_eq!(fault(writer.append("a", &[0.0])), count);
    assert_eq!(SoftLabels::read(&path).unwrap().len(), 0);
    let one = ["on".to_owned()];
    assert!(SoftWriter::open(&dir.path().join("b"), &one, &teacher()).is_err());
    assert!(!dir.path().join("b").exists());
}

#[test]
fn bad_rows_are_named() {
    assert_eq!(row_fault(r#"{"text_sha256":"HEX","logits":[NaN,1]}"#), SoftFault::NotFinite(1));
    assert_eq!(
        row_fault(r#"{"text_sha256":"HEX","logits":[1,-Infinity]}"#),
        SoftFault::NotFinite(2)
    );
    assert_eq!(row_fault(r#"{"text_sha256":"HEX","logits":[1,null]}"#), SoftFault::NotFinite(2));
    assert_eq!(row_fault(r#"{"text_sha256":"HEX","logits":[1e39,1]}"#), SoftFault::NotFinite(1));
    let count = SoftFault::Count { found: 3, expected: 2 };
    assert_eq!(row_fault(r#"{"text_sha256":"HEX","logits":[1,2,3]}"#), count);
    assert_eq!(row_fault(r#"{"text_sha256":"HEx","logits":[1,2]}"#), SoftFault::Hex);
    let no_hex = format!(r#"{{"text_sha256":"{}","logits":[1,2]}}"#, "g".repeat(64));
    assert_eq!(row_fault(&no_hex), SoftFault::Hex);
    let missing = |field| SoftFault::Missing { field };
    assert_eq!(row_fault(r#"{"logits":[1,2]}"#), missing("text_sha256"));
    assert_eq!(row_fault(r#"{"text_sha256":"HEX"}"#), missing("logits"));
    let kind = |field, found, expected| SoftFault::Kind { field, found, expected };
    assert_eq!(
        row_fault(r#"{"text_sha256":"HEX","logits":[1,"2"]}"#),
        kind("logits", "a string", "numbers only")
    );
    assert_eq!(
        row_fault(r#"{"text_sha256":"HEX","logits":[1,2],"teacher":"me"}"#),
        kind("teacher", "a string", "an object")
    );
    assert_eq!(row_fault("[1,2]"), kind("line", "an array", "an object"));
    assert!(matches!(row_fault("{"), SoftFault::Json(_)));
}

#[test]
fn rows_may_name_their_teacher_and_repeat_themselves_but_not_contradict() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("soft.jsonl");
    let same =
        format!(r#"{{"text_sha256":"{}","logits":[1,2],"teacher":{{"name":"x"}}}}"#, hex("a"));
    fs::write(&path, [HEADER, &same, "", &same].join("\r\n")).unwrap();
    let soft = SoftLabels::read(&path).unwrap();
    assert_eq!((soft.len(), soft.get("a")), (1, Some(&[1.0_f32, 2.0][..])));
    assert_eq!(soft.teacher.command, "");
    let other = same.replace("[1,2]", "[1,3]");
    assert_eq!(fault(&[HEADER, &same, &other]), (3, SoftFault::Contradiction));
}

#[test]
fn bad_headers_are_named() {
    assert_eq!(fault(&[""]), (2, SoftFault::NoHeader));
    assert_eq!(fault(&["a\tb"]), (1, SoftFault::NoHeader));
    let version = HEADER.replace("\"qdllm_soft\":1", "\"qdllm_soft\":2");
    assert_eq!(fault(&[&version]), (1, SoftFault::Version(2)));
    for (from, to, field) in [
        (r#""off","on""#, r#""on","on""#, "classes"),
        (r#""off","on""#, r#""on""#, "classes"),
        (r#""off","on""#, r#""on",1"#, "classes"),
        (r#""digest":"d","#, "", "teacher"),
    ] {
        let (line, found) = fault(&[&HEADER.replace(from, to)]);
        assert_eq!(line, 1);
        assert!(
            matches!(found, SoftFault::Header { field: named, .. } if named == field),
            "{found}"
        );
    }
}

#[test]
fn a_torn_file_is_refused_by_the_reader_with_the_remedy() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("soft.jsonl");
    fs::write(&path, format!("{HEADER}\n{{\"text_sha256\":\"12")).unwrap();
    let error = SoftLabels::read(&path).unwrap_err();
    assert!(
        matches!(what(&error), SoftFault::Torn) && error.to_string().contains(":2: "),
        "{error}"
    );
    let none = SoftLabels::read(&dir.path().join("none.jsonl")).unwrap_err();
    assert!(matches!(what(&none), SoftFault::Open(_)), "{none}");
    let folder = SoftLabels::read(dir.path()).unwrap_err();
    assert!(matches!(what(&folder), SoftFault::Directory), "{folder}");
}
