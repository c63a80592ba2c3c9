//! Data files: every format read, every bad row named, nothing lost silently.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use qdllm_trainer::data::{BadRows, DataError, DataFault, Fault, Row, Rows, text_digest};
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

fn labelled(path: &Path) -> Result<Vec<Row>, DataError> {
    Rows::labelled(path, BadRows::Refuse)?.collect()
}

fn unlabelled(path: &Path) -> Result<Vec<Row>, DataError> {
    Rows::unlabelled(path, BadRows::Refuse)?.collect()
}

/// The fault of the first bad row and its line.
fn fault(name: &str, bytes: &[u8]) -> (u64, Fault) {
    let dir = TempDir::new().unwrap();
    let path = file(&dir, name, bytes);
    let error = labelled(&path).unwrap_err();
    let said = error.to_string();
    match (error.line, error.what) {
        (Some(line), DataFault::Row(fault)) => {
            assert!(said.contains(&format!("{}:{line}: ", path.display())), "{said}");
            assert!(said.contains("--bad-rows skip"), "{said}");
            (line, fault)
        }
        other => panic!("{other:?}"),
    }
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
    assert!(matches!(labelled(&path).unwrap_err().what, DataFault::NoLabels));
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
    let blank = |field| Fault::Blank { field };
    assert_eq!(fault("a.tsv", b"a\tb\nno tab\n"), (2, Fault::NoTab));
    assert_eq!(fault("a.tsv", b"a\tb\n\n \tb\n"), (3, blank("label")));
    assert_eq!(fault("a.tsv", b"a\t \n"), (1, blank("text")));
    let utf8 = |field, byte| Fault::Utf8 { field, byte };
    assert_eq!(fault("a.tsv", b"a\tcaf\xE9\n"), (1, utf8("text", 4)));
    assert_eq!(fault("a.tsv", b"\xFFa\tb\n"), (1, utf8("label", 1)));
    assert_eq!(fault("a.jsonl", b"{\"text\":\"\xE9\"}\n"), (1, utf8("line", 10)));
    assert_eq!(fault("a.csv", b"label,text\na,b\na,\xE9\n"), (3, utf8("text", 1)));
    assert_eq!(fault("a.csv", b"label,text\n,b\n"), (2, blank("label")));
    let fields = |found, expected| Fault::Fields { found, expected };
    assert_eq!(fault("a.csv", b"label,text\na,b,c\n"), (2, fields(3, 2)));
    assert_eq!(fault("a.csv", b"label,text\na\n"), (2, fields(1, 2)));
    let missing = |field| Fault::Missing { field };
    assert_eq!(fault("a.jsonl", b"{\"text\":\"t\"}"), (1, missing("label")));
    assert_eq!(fault("a.jsonl", b"{\"label\":\"t\"}"), (1, missing("text")));
    assert_eq!(fault("a.jsonl", b"[\"t\", \"l\"]"), (1, Fault::NotObject));
    let kind = |field, found, expected| Fault::Kind { field, found, expected };
    assert_eq!(
        fault("a.jsonl", b"{\"text\":\"t\",\"label\":1.5}"),
        (1, kind("label", "a fraction", "a string or an integer"))
    );
    assert_eq!(
        fault("a.jsonl", b"{\"text\":[],\"label\":1}"),
        (1, kind("text", "an array", "a string"))
    );
    let (line, json) = fault("a.jsonl", b"{\"text\":\"t\",\"label\":1}\n{\"text\":\"t\"");
    assert!(line == 2 && matches!(json, Fault::Json(_)), "{json}");
}

#[test]
fn bad_rows_are_skipped_by_choice_and_counted() {
    let dir = TempDir::new().unwrap();
    let path = file(&dir, "a.tsv", b"bad\na\tb\n\tbad\n\na\t\xFF\nc\td\n");
    let mut rows = Rows::labelled(&path, BadRows::Skip).unwrap();
    let good: Result<Vec<Row>, DataError> = rows.by_ref().collect();
    assert_eq!(good.unwrap(), [row(2, "a", "b"), row(6, "c", "d")]);
    assert_eq!(rows.skipped(), 3);
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
        assert!(matches!(error.what, DataFault::Empty { skipped: 0 }), "{error}");
    }
    let path = file(&dir, "c.tsv", b"bad\nbad\n");
    let mut rows = Rows::labelled(&path, BadRows::Skip).unwrap();
    let error = rows.next().unwrap().unwrap_err();
    assert!(matches!(error.what, DataFault::Empty { skipped: 2 }), "{error}");
    assert!(rows.next().is_none());
}

#[test]
fn what_is_no_data_file_is_refused_by_name() {
    let dir = TempDir::new().unwrap();
    let refused = |path: &Path| match Rows::unlabelled(path, BadRows::Skip) {
        Ok(_) => panic!("accepted {}", path.display()),
        Err(error) => {
            assert!(error.to_string().contains(&path.display().to_string()));
            error
        }
    };
    let missing = refused(&dir.path().join("missing.tsv"));
    assert!(matches!(missing.what, DataFault::Open(_)));
    let folder = dir.path().join("folder.tsv");
    fs::create_dir(&folder).unwrap();
    assert!(matches!(refused(&folder).what, DataFault::Directory));
    let odd = refused(&file(&dir, "a.parquet", b"PAR1"));
    assert!(matches!(odd.what, DataFault::Extension { .. }));
    let bare = refused(&file(&dir, "data", b"a\tb\n"));
    assert!(matches!(bare.what, DataFault::Extension { .. }));
    let header = refused(&file(&dir, "a.csv", b"label,sentence\na,b\n"));
    assert!(header.to_string().contains("`label`, `sentence`"), "{header}");
    let twice = refused(&file(&dir, "b.csv", b"text,Text\na,b\n"));
    assert!(matches!(twice.what, DataFault::Header { field: "text", .. }));
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
        assert!(matches!((error.line, &error.what), (Some(3), DataFault::OpenQuote)), "{error}");
        assert!(rows.next().is_none());
    }
    let mut long = b"label,text\na,\"open".to_vec();
    long.resize(4 << 20, b'x');
    let path = file(&dir, "long.csv", &long);
    let mut rows = Rows::labelled(&path, BadRows::Skip).unwrap();
    let error = rows.next().unwrap().unwrap_err();
    assert!(matches!((error.line, &error.what), (Some(2), DataFault::OpenQuote)), "{error}");
    assert!(rows.bytes_read() < 2 << 20, "stopped at the limit");
}

#[test]
fn an_absurd_line_is_refused_or_skipped() {
    let mut bytes = b"a\tb\na\t".to_vec();
    bytes.resize((1 << 20) + 64, b'x');
    bytes.extend_from_slice(b"\nc\td\n");
    assert_eq!(fault("a.tsv", &bytes), (2, Fault::TooLong));
    let mut csv = b"label,text\n".to_vec();
    csv.extend_from_slice(&bytes);
    let at_comma = csv.iter().position(|&b| b == b'\t').unwrap();
    csv[at_comma] = b',';
    csv[at_comma + 4] = b',';
    assert_eq!(fault("a.csv", &csv), (3, Fault::TooLong));

    let dir = TempDir::new().unwrap();
    let path = file(&dir, "a.tsv", &bytes);
    let mut rows = Rows::labelled(&path, BadRows::Skip).unwrap();
    let good: Result<Vec<Row>, DataError> = rows.by_ref().collect();
    assert_eq!(good.unwrap(), [row(1, "a", "b"), row(3, "c", "d")]);
    assert_eq!(rows.skipped(), 1);
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
        assert_eq!(rows.bytes_total(), fs::metadata(&path).unwrap().len());
        rows.next().unwrap().unwrap();
        let early = rows.bytes_read();
        assert!(early > 0 && early <= 1 << 16, "reads ahead {early} bytes");
        rows.by_ref().for_each(|row| drop(row.unwrap()));
        assert_eq!(rows.bytes_read(), rows.bytes_total());
    }
}

#[test]
fn digest_is_sha256_of_the_bytes() {
    // FIPS 180-2, the one-block example.
    let hex: String = text_digest("abc").iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}
