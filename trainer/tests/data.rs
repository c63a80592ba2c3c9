//! Data files: every format read, every bad row named, nothing lost silently.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use qdllm_trainer::data::{BadRows, Row, Rows, text_digest};
use tempfile::TempDir;

fn file(dir: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.path().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

fn row(line: u64, label: &str, text: &str) -> Row {
    Row { line, label: Some(label.to_owned()), text: text.to_owned() }
}

fn plain(line: u64, text: &str) -> Row {
    Row { line, label: None, text: text.to_owned() }
}

fn labelled(path: &Path) -> Result<Vec<Row>> {
    Rows::labelled(path, BadRows::Refuse)?.collect()
}

fn unlabelled(path: &Path) -> Result<Vec<Row>> {
    Rows::unlabelled(path, BadRows::Refuse)?.collect()
}

/// Asserts that the first bad row is on a line, and refused in these words.
fn refused(name: &str, bytes: &[u8], line: u64, words: &str) {
    let dir = TempDir::new().unwrap();
    let path = file(&dir, name, bytes);
    let said = labelled(&path).unwrap_err().to_string();
    assert!(said.starts_with(&format!("{}:{line}: ", path.display())), "{said}");
    assert!(said.contains(words) && said.contains("--bad-rows skip"), "{said}");
}

#[test]
fn every_format_gives_the_same_rows() {
    let dir = TempDir::new().unwrap();
    let tsv = file(&dir, "a.tsv", "on\tlight on\n\noff\tgo, \"dark\"\tnow\n7\tça va\n".as_bytes());
    let csv = file(
        &dir,
        "a.csv",
        "id,label,text\n1,on,light on\n\n2,off,\"go, \"\"dark\"\"\tnow\"\n3,7,ça va\n".as_bytes(),
    );
    let json = file(
        &dir,
        "a.jsonl",
        concat!(
            r#"{"label":"on","text":"light on"}"#,
            "\n\n",
            r#"{"text":"go, \"dark\"\tnow","label":"off","id":[1]}"#,
            "\n",
            r#"{"label":7,"text":"\u00e7a va"}"#,
        )
        .as_bytes(),
    );
    let expected = |first: u64| {
        vec![
            row(first, "on", "light on"),
            row(first + 2, "off", "go, \"dark\"\tnow"),
            row(first + 3, "7", "ça va"),
        ]
    };
    assert_eq!(labelled(&tsv).unwrap(), expected(1));
    assert_eq!(labelled(&csv).unwrap(), expected(2));
    assert_eq!(labelled(&json).unwrap(), expected(1));
    for path in [&tsv, &csv, &json] {
        let texts: Vec<Row> = unlabelled(path).unwrap();
        assert!(texts.iter().all(|row| row.label.is_none()));
        assert_eq!(texts[2].text, "ça va");
    }
}

#[test]
fn txt_is_one_text_a_line_and_has_no_labels() {
    let dir = TempDir::new().unwrap();
    let path = file(&dir, "a.txt", b"first text\n   \n second \nlast");
    let rows = [plain(1, "first text"), plain(3, " second "), plain(4, "last")];
    assert_eq!(unlabelled(&path).unwrap(), rows);
    let said = labelled(&path).unwrap_err().to_string();
    assert!(said.contains("holds texts without labels"), "{said}");
}

#[test]
fn unlabelled_files_need_no_labels() {
    let dir = TempDir::new().unwrap();
    let json = file(&dir, "a.ndjson", b"{\"text\":\"a\"}\n");
    assert_eq!(unlabelled(&json).unwrap(), [plain(1, "a")]);
    let csv = file(&dir, "a.csv", b"text\na\n");
    assert_eq!(unlabelled(&csv).unwrap(), [plain(2, "a")]);
    let tsv = file(&dir, "a.tsv", b"\ta\n");
    assert_eq!(unlabelled(&tsv).unwrap(), [plain(1, "a")]);
}

#[test]
fn byte_order_mark_and_crlf_are_not_text() {
    let dir = TempDir::new().unwrap();
    let expected = |line| [row(line, "on", "light"), row(line + 2, "off", "dark")];
    let tsv = file(&dir, "a.tsv", b"\xEF\xBB\xBFon\tlight\r\n\r\noff\tdark\r\n");
    assert_eq!(labelled(&tsv).unwrap(), expected(1));
    let csv = b"\xEF\xBB\xBFlabel,text\r\non,light\r\n\r\noff,\"dark\"\r\n";
    assert_eq!(labelled(&file(&dir, "a.csv", csv)).unwrap(), expected(2));
    // Without a line end at the end.
    let csv = &csv[..csv.len() - 2];
    assert_eq!(labelled(&file(&dir, "b.csv", csv)).unwrap(), expected(2));
}

#[test]
fn quoted_csv_fields_span_lines_and_line_numbers_stay_true() {
    let dir = TempDir::new().unwrap();
    let csv = b"text,label\n\n\"two\nlines\n\",a\n\n\"b\",b\nc,c\n\"end\n\",d";
    let rows =
        [row(3, "a", "two\nlines\n"), row(7, "b", "b"), row(8, "c", "c"), row(9, "d", "end\n")];
    assert_eq!(labelled(&file(&dir, "a.csv", csv)).unwrap(), rows);
    let csv = b"label,text\na,\"end\n\"";
    let rows = [row(2, "a", "end\n")];
    assert_eq!(labelled(&file(&dir, "b.csv", csv)).unwrap(), rows);
}

#[test]
fn bad_rows_are_named() {
    refused("a.tsv", b"a\tb\nno tab\n", 2, "no tab");
    refused("a.tsv", b"a\tb\n\n \tb\n", 3, "`label` is empty");
    refused("a.tsv", b"a\t \n", 1, "`text` is empty");
    refused("a.tsv", b"a\tcaf\xE9\n", 1, "`text` is not UTF-8 from its byte 4 on");
    refused("a.tsv", b"\xFFa\tb\n", 1, "`label` is not UTF-8 from its byte 1 on");
    refused("a.jsonl", b"{\"text\":\"\xE9\"}\n", 1, "`line` is not UTF-8 from its byte 10 on");
    refused("a.csv", b"label,text\na,b\na,\xE9\n", 3, "`text` is not UTF-8 from its byte 1 on");
    refused("a.csv", b"label,text\n,b\n", 2, "`label` is empty");
    refused("a.csv", b"label,text\na,b,c\n", 2, "3 fields where the header has 2");
    refused("a.csv", b"label,text\na\n", 2, "1 fields where the header has 2");
    refused("a.jsonl", b"{\"text\":\"t\"}", 1, "`label` is missing");
    refused("a.jsonl", b"{\"label\":\"t\"}", 1, "`text` is missing");
    refused("a.jsonl", b"[\"t\", \"l\"]", 1, "not a JSON object");
    let fraction = "`label` is a fraction; it must be a string or an integer";
    refused("a.jsonl", b"{\"text\":\"t\",\"label\":1.5}", 1, fraction);
    let array = "`text` is an array; it must be a string";
    refused("a.jsonl", b"{\"text\":[],\"label\":1}", 1, array);
    refused("a.jsonl", b"{\"text\":\"t\",\"label\":1}\n{\"text\":\"t\"", 2, "not valid JSON");
}

#[test]
fn bad_rows_are_skipped_by_choice_and_counted() {
    let dir = TempDir::new().unwrap();
    let path = file(&dir, "a.tsv", b"bad\na\tb\n\tbad\n\na\t\xFF\nc\td\n");
    let mut rows = Rows::labelled(&path, BadRows::Skip).unwrap();
    let good: Result<Vec<Row>> = rows.by_ref().collect();
    assert_eq!(good.unwrap(), [row(2, "a", "b"), row(6, "c", "d")]);
    assert_eq!(rows.skipped, 3);
}

#[test]
fn a_file_without_a_good_row_is_an_error() {
    let dir = TempDir::new().unwrap();
    for (name, bytes) in [
        ("a.tsv", &b""[..]),
        ("a.csv", b""),
        ("b.csv", b"label,text\n"),
        ("a.jsonl", b"\n  \n"),
        ("b.tsv", b"\xEF\xBB\xBF"),
    ] {
        let error = labelled(&file(&dir, name, bytes)).unwrap_err();
        assert!(error.to_string().contains("no rows (0 bad rows skipped)"), "{error}");
    }
    let path = file(&dir, "c.tsv", b"bad\nbad\n");
    let mut rows = Rows::labelled(&path, BadRows::Skip).unwrap();
    let error = rows.next().unwrap().unwrap_err();
    assert!(error.to_string().contains("no rows (2 bad rows skipped)"), "{error}");
    assert!(rows.next().is_none());
}

#[test]
fn what_is_no_data_file_is_refused_by_name() {
    let dir = TempDir::new().unwrap();
    let refused = |path: &Path, words: &str| match Rows::unlabelled(path, BadRows::Skip) {
        Ok(_) => panic!("accepted {}", path.display()),
        Err(error) => {
            let said = error.to_string();
            assert!(said.contains(&path.display().to_string()) && said.contains(words), "{said}");
        }
    };
    refused(&dir.path().join("missing.tsv"), "cannot open the data file");
    let folder = dir.path().join("folder.tsv");
    fs::create_dir(&folder).unwrap();
    refused(&folder, "is a directory");
    let formats = "rename the file to one of .txt, .tsv, .csv, .jsonl, .ndjson";
    refused(&file(&dir, "a.parquet", b"PAR1"), formats);
    refused(&file(&dir, "data", b"a\tb\n"), formats);
    refused(&file(&dir, "a.csv", b"kind,words\na,b\n"), "`kind`, `words`");
    refused(&file(&dir, "b.csv", b"text,Text\na,b\n"), "must name one column `text`");
}

#[test]
fn an_open_quote_is_an_error_and_does_not_swallow_rows() {
    let dir = TempDir::new().unwrap();
    for csv in [
        &b"label,text\na,b\na,\"open\nb,c\n"[..],
        b"label,text\na,b\na,\"open",
        b"label,text\r\na,b\r\na,\"open\r\n\r\n",
    ] {
        let path = file(&dir, "a.csv", csv);
        let mut rows = Rows::labelled(&path, BadRows::Skip).unwrap();
        assert_eq!(rows.next().unwrap().unwrap(), row(2, "a", "b"));
        let error = rows.next().unwrap().unwrap_err();
        assert!(error.to_string().contains(".csv:3: the record that starts here"), "{error}");
        assert!(rows.next().is_none());
    }
    let mut long = b"label,text\na,\"open".to_vec();
    long.resize(4 << 20, b'x');
    let path = file(&dir, "long.csv", &long);
    let mut rows = Rows::labelled(&path, BadRows::Skip).unwrap();
    let error = rows.next().unwrap().unwrap_err();
    assert!(error.to_string().contains(".csv:2: the record that starts here"), "{error}");
    assert!(rows.bytes_read() < 2 << 20, "stopped at the limit");
}

#[test]
fn an_absurd_line_is_refused_or_skipped() {
    let mut bytes = b"a\tb\na\t".to_vec();
    bytes.resize((1 << 20) + 64, b'x');
    bytes.extend_from_slice(b"\nc\td\n");
    refused("a.tsv", &bytes, 2, "longer than 1024 KiB");
    let mut csv = b"label,text\n".to_vec();
    csv.extend_from_slice(&bytes);
    let at_comma = csv.iter().position(|&b| b == b'\t').unwrap();
    csv[at_comma] = b',';
    csv[at_comma + 4] = b',';
    refused("a.csv", &csv, 3, "longer than 1024 KiB");

    let dir = TempDir::new().unwrap();
    let path = file(&dir, "a.tsv", &bytes);
    let mut rows = Rows::labelled(&path, BadRows::Skip).unwrap();
    let good: Result<Vec<Row>> = rows.by_ref().collect();
    assert_eq!(good.unwrap(), [row(1, "a", "b"), row(3, "c", "d")]);
    assert_eq!(rows.skipped, 1);
}

#[test]
fn progress_runs_from_nothing_to_the_file_size() {
    let dir = TempDir::new().unwrap();
    for name in ["a.tsv", "a.csv"] {
        let path = dir.path().join(name);
        let mut out = fs::File::create(&path).unwrap();
        let separator = if name == "a.tsv" { '\t' } else { ',' };
        writeln!(out, "label{separator}text").unwrap();
        for i in 0..50_000 {
            writeln!(out, "l{}{separator}text number {i}", i % 3).unwrap();
        }
        drop(out);
        let mut rows = Rows::labelled(&path, BadRows::Refuse).unwrap();
        assert_eq!(rows.bytes_total, fs::metadata(&path).unwrap().len());
        rows.next().unwrap().unwrap();
        let early = rows.bytes_read();
        assert!(early > 0 && early <= 1 << 16, "reads ahead {early} bytes");
        rows.by_ref().for_each(|row| drop(row.unwrap()));
        assert_eq!(rows.bytes_read(), rows.bytes_total);
    }
}

#[test]
fn digest_is_sha256_of_the_bytes() {
    // FIPS 180-2, the one-block example.
    let hex: String = text_digest("abc").iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}
