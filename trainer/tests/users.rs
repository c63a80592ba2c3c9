//! `qdllm` as people use it: their own files, pipes, full disks, foreign texts, and nothing of theirs lost.

use serde_json::Value;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

const QUICK: [&str; 6] = ["--epochs", "2", "--min-steps", "20", "--checkpoint-seconds", "9"];
const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/commands.qdm");

struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        fs::write(self.path(name), content).unwrap();
        self.path(name)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qdllm"));
        command.args(line.split(' ').filter(|word| !word.is_empty())).current_dir(self.0.path());
        command
    }

    fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    fn quick(&self, line: &str) -> Output {
        self.command(line).args(QUICK).output().unwrap()
    }

    fn typed(&self, line: &str, input: &str) -> Output {
        let mut command = self.command(line);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn good(output: Output) -> Output {
    assert!(output.status.success(), "{}", stderr(&output));
    output
}

#[track_caller]
fn refused(output: &Output, code: i32, says: &str) {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(says), "`{says}` is not in: {said}");
    assert_eq!(said.matches("error:").count(), 1, "{said}");
}

const CLASSES: [&str; 2] = ["light", "music"];

/// A label and a text; the classes alternate, some words tell them.
fn rows(count: usize) -> Vec<(&'static str, String)> {
    let words = [["lamp", "bulb", "bright", "dim"], ["song", "tune", "play", "album"]];
    let places = ["kitchen", "hall", "cellar", "attic", "garden"];
    let row = |i: usize| {
        let [one, two] = [words[i % 2][i / 2 % 4], words[i % 2][i / 8 % 4]];
        (CLASSES[i % 2], format!("please {one} the {two} in the {} number {i}", places[i % 5]))
    };
    (0..count).map(row).collect()
}

fn tsv(count: usize) -> String {
    rows(count).iter().map(|(label, text)| format!("{label}\t{text}\n")).collect()
}

#[test]
fn the_first_hour_needs_no_flag_but_file_names() {
    let desk = Desk::new();
    let table: String = rows(200).iter().map(|(l, t)| format!("\"{t}\",{l}\n")).collect();
    desk.put("mine.csv", format!("message,category\n{table}"));
    let trained = good(desk.run("train --data mine.csv --out mine.qdm"));
    let said = stderr(&trained);
    assert!(said.contains("labels from column `category`, texts from column `message`"), "{said}");
    assert!(said.contains("the vocabulary has"), "{said}");
    assert!(
        stdout(&trained).contains("classes      2: light 100, music 100"),
        "{}",
        stdout(&trained)
    );
    let answers = good(desk.typed("predict mine.qdm", "please dim the lamp\nplay the album\n"));
    let answers = stdout(&answers);
    let labels: Vec<&str> = answers.lines().map(|l| l.split('\t').next().unwrap()).collect();
    assert_eq!(labels, CLASSES);
    let many = good(desk.run("classify mine.qdm -i mine.csv --json"));
    assert!(stderr(&many).contains("column of texts"), "{}", stderr(&many));
    let first: Value = serde_json::from_str(stdout(&many).lines().next().unwrap()).unwrap();
    assert_eq!(first["text"], rows(1)[0].1);
    good(desk.run("test mine.qdm --data mine.csv --no-control"));
}

#[test]
fn no_output_takes_the_place_of_an_input() {
    let desk = Desk::new();
    let data = tsv(60);
    desk.put("a.tsv", &data);
    desk.put("texts.txt", "one\n");
    desk.put("soft.jsonl", "{}\n");
    desk.put("v.jsonl", "{}\n");
    desk.put("mine.qdm", fs::read(MODEL).unwrap());
    desk.put("mine.toml", "[sources]\ndata = \"a.tsv\"\n");
    desk.put("m.qdm.metrics.jsonl", "{\"label\":\"a\",\"text\":\"b\"}\n");
    desk.put("c.qdm.toml", "[training]\nepochs = 3\n");
    fs::create_dir(desk.path("sub")).unwrap();
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(desk.path("a.tsv"), desk.path("link.tsv")).unwrap();
        fs::hard_link(desk.path("a.tsv"), desk.path("hard.tsv")).unwrap();
    }
    let before = files(desk.0.path());
    let full = desk.path("a.tsv").display().to_string();
    for line in [
        "distill --data a.tsv --out a.tsv",
        "distill --data a.tsv --out ./sub/../a.tsv",
        &format!("distill --data a.tsv --out {full}"),
        "distill --data link.tsv --out a.tsv",
        "distill --data a.tsv --out link.tsv",
        "distill --data a.tsv --out hard.tsv",
        "distill --data a.tsv --valid texts.txt --out texts.txt",
        "distill --data a.tsv --unlabelled texts.txt --soft soft.jsonl --out texts.txt",
        "distill --data a.tsv --soft soft.jsonl --out soft.jsonl",
        "distill --data a.tsv --vectors v.jsonl --out v.jsonl",
        "distill --data a.tsv --config mine.toml --out mine.toml",
        "distill --config mine.toml --out a.tsv",
        "distill --data m.qdm.metrics.jsonl --out m.qdm",
        "distill --data a.tsv --config c.qdm.toml --epochs 5 --out c.qdm",
        "distill --data a.tsv --teacher soft.jsonl --out soft.jsonl",
        "teach --tfidf --data a.tsv --out a.tsv",
        "teach --tfidf --data a.tsv --unlabelled texts.txt --out texts.txt",
        "teach --tfidf --data a.tsv --test texts.txt --out texts.txt",
        "compile mine.qdm --backend polynomial --data a.tsv --out mine.qdm",
        "compile mine.qdm --backend polynomial --data a.tsv --out a.tsv",
        "reproduce --data sub --out sub",
        "reproduce --data sub --out sub/runs",
    ] {
        let output = desk.run(line);
        refused(&output, 2, "written over");
        assert_eq!(files(desk.0.path()), before, "{line}");
    }
}

fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| (path.clone(), fs::read(path).unwrap_or_default());
    let mut all: Vec<_> = entries.map(read).collect();
    all.sort();
    all
}

#[cfg(target_os = "linux")]
#[test]
fn closed_pipes_are_quiet_and_full_disks_are_errors() {
    let desk = Desk::new();
    desk.put("a.tsv", tsv(40));
    let model = MODEL;
    let lines = [
        "--help".to_owned(),
        "distill --help".to_owned(),
        "--version".to_owned(),
        format!("inspect {model}"),
        format!("inspect {model} --json"),
        format!("classify {model} lamp"),
        format!("classify {model} -i a.tsv --json"),
        "bench --seconds 0.01 --batch 8 --gradient-batch 8".to_owned(),
        "completions bash".to_owned(),
        "man".to_owned(),
    ];
    for line in &lines {
        let full = || File::options().write(true).open("/dev/full").unwrap();
        let output = desk.command(line).stdout(full()).output().unwrap();
        refused(&output, 1, "No space left");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = desk.command(line).stdout(writer).output().unwrap();
        let said = stderr(&output);
        assert!(output.status.success() && !said.contains("error"), "{line}: {said}");
        // Nobody reads what is said aside: the work goes on.
        let output = desk.command(line).stderr(full()).output().unwrap();
        assert!(output.status.success(), "{line}");
    }
    let mut wrong = desk.command("classify");
    wrong.stderr(File::options().write(true).open("/dev/full").unwrap());
    assert_eq!(wrong.status().unwrap().code(), Some(2));
    let output = desk.run("compile x --data a.tsv --backend polynomial --out /dev/full");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn nothing_foreign_drives_the_terminal() {
    let desk = Desk::new();
    let wild = "\u{1b}[31mred\u{9b}2J\u{7}";
    let clean = |output: &Output| {
        let both = stdout(output) + &stderr(output);
        assert!(!both.contains(|c: char| c.is_control() && !"\n\t".contains(c)), "{both:?}");
        both
    };
    let output = desk.command(&format!("classify {MODEL}")).arg(wild).output().unwrap();
    assert!(clean(&good(output)).contains("\\u001b[31mred\\u009b2J\\u0007"));
    let output = desk.command(&format!("classify {MODEL} --json")).arg(wild).output().unwrap();
    let answer: Value = serde_json::from_str(&clean(&good(output))).unwrap();
    assert_eq!(answer["text"], wild);
    let output = desk.command("inspect").arg(wild).output().unwrap();
    assert!(clean(&output).contains("\\u001b"));
    let output = desk.command("inspect --no-such").arg(wild).output().unwrap();
    clean(&output);
    desk.put("a.tsv", tsv(20) + &format!("{wild}\ta text\n"));
    let output = desk.quick("distill --data a.tsv --out a.qdm");
    refused(&output, 1, "control character");
    clean(&output);
    desk.put("long.tsv", tsv(20) + &format!("{}\ta text\n", "x".repeat(300)));
    refused(&desk.quick("distill --data long.tsv --out a.qdm"), 1, "300 bytes");
    refused(&desk.quick("distill --data a.tsv --out a.qdm --rows 0"), 2, "rows is 0");
}

/// Trains on a file and returns the classes with their counts, and what was said.
#[track_caller]
fn classes(desk: &Desk, data: &str) -> (String, String) {
    let output = good(desk.quick(&format!("distill {data} --out x.qdm --restart --holdout 0.3")));
    let text = stdout(&output);
    let line = text.lines().find(|line| line.starts_with("classes")).unwrap().to_owned();
    (line["classes      ".len()..].to_owned(), stderr(&output))
}

#[test]
fn tables_are_read_as_their_owners_wrote_them() {
    let desk = Desk::new();
    let (rows, plain) = (rows(60), tsv(60));
    let expected = "2: light 30, music 30";
    let lines = |row: &dyn Fn(&str, &str) -> String| -> String {
        rows.iter().map(|(label, text)| row(label, text)).collect()
    };
    desk.put("plain.tsv", &plain);
    desk.put("headed.tsv", format!("\u{feff}Label\tText\n{plain}"));
    desk.put("turned.tsv", format!("text\tid\tlabel\n{}", lines(&|l, t| format!("{t}\t7\t{l}\n"))));
    desk.put("odd.tsv", format!("kind\twords\n{plain}"));
    desk.put("semi.csv", format!("kind;words\n{}", lines(&|l, t| format!("{l};{t}\n"))));
    desk.put("fast.txt", lines(&|l, t| format!("__label__{l} {t}\n")));
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(plain.as_bytes()).unwrap();
    desk.put("packed.tsv.gz", packed.finish().unwrap());
    for (data, said) in [
        ("--data plain.tsv", ""),
        ("--data headed.tsv", "headed.tsv:1: a header; labels from column `Label`"),
        ("--data turned.tsv", "texts from column `text`"),
        ("--data turned.tsv --label-column 3 --text-column 1", "a header"),
        ("--data odd.tsv --label-column kind --text-column words", "column `kind`"),
        ("--data semi.csv --delimiter ; --label-column 1 --text-column words", "column `kind`"),
        ("--data fast.txt", ""),
        ("--data packed.tsv.gz", ""),
    ] {
        let (found, heard) = classes(&desk, data);
        assert_eq!(found, expected, "{data}");
        assert!(heard.contains(said), "{data}: {heard}");
        assert_eq!(
            heard.matches("a header").count(),
            usize::from(said.contains("column") || said.contains("header")),
            "{heard}"
        );
    }
    let output = desk.typed(&format!("distill --data - --out - {}", QUICK.join(" ")), &plain);
    desk.put("piped.qdm", &good(output).stdout);
    good(desk.run("inspect piped.qdm"));
    assert_eq!(classes(&desk, "--data plain.tsv --data fast.txt").0, "2: light 60, music 60");
    let alike = plain.replacen("light\t", "Light\t", 3).replacen("music\t", " music\t", 2);
    desk.put("alike.tsv", alike);
    let (found, heard) = classes(&desk, "--data alike.tsv");
    assert_eq!(found, "3: Light 3, light 27, music 30");
    assert!(heard.contains("`Light`, `light`") && heard.contains("around 2 labels"), "{heard}");
    refused(&desk.quick("distill --data semi.csv --out x.qdm"), 1, "--label-column");
    refused(&desk.quick("distill --data odd.tsv --label-column no --out x.qdm"), 2, "`no`");
}

#[test]
fn texts_with_several_labels_are_counted_listed_and_settled() {
    let desk = Desk::new();
    let disputed = "light\tsame\nlight\tsame\nmusic\tsame\nmusic\ttie\nlight\ttie\n";
    desk.put("a.tsv", tsv(60) + disputed);
    let run = |how: &str| desk.quick(&format!("distill --data a.tsv --out x.qdm --restart {how}"));
    let output = good(run(""));
    let (said, told) = (stderr(&output), stdout(&output));
    assert!(
        said.contains(
            "2 texts carry several labels (--conflicts majority: 1 keep one, 1 are left out)"
        ),
        "{said}"
    );
    assert!(said.contains("a.tsv:63: `same` is light (2), music (1); taken: light"), "{said}");
    assert!(told.contains("2 with several labels"), "{told}");
    let json = good(run("--json"));
    let outcome: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(
        (&outcome["tally"]["disputed"], &outcome["tally"]["undecided"]),
        (&2.into(), &1.into())
    );
    refused(&run("--conflicts refuse"), 1, "--conflicts decide");
    let dropped = good(run("--conflicts drop --json"));
    let outcome: Value = serde_json::from_slice(&dropped.stdout).unwrap();
    assert!(outcome["tally"]["undecided"] == outcome["tally"]["disputed"]);
    let teach = good(desk.run("teach --tfidf --data a.tsv --out soft.jsonl"));
    assert!(stderr(&teach).contains("2 texts carry several labels"), "{}", stderr(&teach));
}

#[test]
fn small_data_are_enough_and_too_little_is_said() {
    let desk = Desk::new();
    desk.put("13.tsv", tsv(13));
    let output = good(desk.quick("distill --data 13.tsv --out x.qdm"));
    assert!(stderr(&output).contains("the vocabulary has"), "{}", stderr(&output));
    let output = good(desk.quick("distill --data 13.tsv --rows 5000 --out y.qdm"));
    assert!(stderr(&output).contains("warning: the"), "{}", stderr(&output));
    desk.put("one.tsv", "a\tred\nb\tblue\nb\tgreen\n");
    refused(&desk.quick("distill --data one.tsv --holdout 0.4 --out x.qdm"), 1, "more texts");
    let chinese: String =
        (0..30).map(|i| format!("{}\t打开第{i}个房间的灯{i}\n", CLASSES[i % 2])).collect();
    desk.put("zh.tsv", chinese.replace(char::is_numeric, ""));
    let said = stderr(&desk.quick("distill --data zh.tsv --out x.qdm"));
    desk.put("zh.tsv", chinese);
    let said = said + &stderr(&desk.quick("distill --data zh.tsv --out z.qdm"));
    assert!(said.contains("without spaces between words") && !said.contains("--rows"), "{said}");
    // Nothing is asked of a teacher before the settings are known to be good.
    desk.put("t.txt", "a text\n");
    let output = desk
        .quick("distill --data 13.tsv --unlabelled t.txt --teacher tfidf --alpha 3 --out z.qdm");
    refused(&output, 2, "alpha is 3");
    assert!(!desk.path("z.qdm.soft.jsonl").exists());
}

#[test]
fn compile_splits_by_the_texts_and_not_by_their_places() {
    let desk = Desk::new();
    desk.put("a.tsv", tsv(160));
    good(desk.run("distill --data a.tsv --out a.qdm --epochs 2 --min-steps 200"));
    let compile = |data: &str| {
        let line = format!(
            "compile a.qdm --backend polynomial --agreement 0.9 --data {data} --out b.qdm --json"
        );
        let output = good(desk.run(&line));
        (
            serde_json::from_slice::<Value>(&output.stdout).unwrap(),
            fs::read(desk.path("b.qdm")).unwrap(),
        )
    };
    let first = compile("a.tsv");
    assert!(first.0["agreement"].as_f64().unwrap() >= 0.9);
    let mut turned: Vec<String> = tsv(160).lines().map(|line| format!("{line}\n")).collect();
    turned.sort();
    desk.put("sorted.tsv", turned.concat());
    assert_eq!(compile("sorted.tsv"), first, "the order of a file means nothing");
}

#[test]
fn values_out_of_range_are_wrong_use() {
    let desk = Desk::new();
    desk.put("a.tsv", tsv(40));
    let endpoint =
        "teach --out s.jsonl --unlabelled a.tsv --classes a,b --endpoint http://localhost:9";
    for (command, option, values) in [
        ("bench", "--seconds", &["0", "nan", "inf"][..]),
        ("bench", "--batch", &["0"]),
        ("bench", "--gradient-batch", &["0"]),
        ("bench", "--threads", &["100000"]),
        ("distill --data a.tsv --out m.qdm", "--labels-per-class", &["0"]),
        ("distill --data a.tsv --out m.qdm --soft s.jsonl", "--review", &["0"]),
        ("distill --data a.tsv --out m.qdm", "--holdout", &["1", "nan"]),
        ("distill --data a.tsv --out m.qdm", "--lr", &["0", "2", "nan"]),
        ("distill --data a.tsv --out m.qdm", "--rows", &["0", "65536"]),
        ("teach --tfidf --data a.tsv --out s.jsonl", "--labels-per-class", &["0"]),
        ("teach --tfidf --data a.tsv --out s.jsonl", "--heldback", &["1", "nan"]),
        (endpoint, "--votes", &["0"]),
        (endpoint, "--vote-temperature", &["3", "nan"]),
        (endpoint, "--max-chars", &["0"]),
        (endpoint, "--concurrency", &["0"]),
        (endpoint, "--timeout", &["0", "nan", "inf"]),
        (endpoint, "--tries", &["0"]),
        (endpoint, "--backoff", &["18446744073709551615"]),
        (endpoint, "--class-words", &["a"]),
        ("reproduce --data . --out /tmp/out", "--seeds", &["0", "1001"]),
        #[cfg(feature = "teacher")]
        ("tune --model m --data a.tsv --out t", "--rank", &["0"]),
        #[cfg(feature = "teacher")]
        ("tune --model m --data a.tsv --out t", "--epochs", &["0"]),
        #[cfg(feature = "teacher")]
        ("tune --model m --data a.tsv --out t", "--lr", &["0", "nan", "inf"]),
        #[cfg(feature = "teacher")]
        ("tune --model m --data a.tsv --out t", "--alpha", &["nan", "inf"]),
        #[cfg(feature = "teacher")]
        ("teach --model m --data a.tsv --out s.jsonl", "--max-tokens", &["0"]),
    ] {
        for value in values {
            let said = option.trim_start_matches("--");
            refused(&desk.run(&format!("{command} {option} {value}")), 2, said);
        }
    }
}

#[test]
fn the_demo_writes_over_nothing_of_the_users() {
    for (name, text) in [("train.tsv", "on\tmine\n"), ("soft.jsonl", ""), ("model.qdm", "mine")] {
        let desk = Desk::new();
        fs::create_dir(desk.path("d")).unwrap();
        desk.put(&format!("d/{name}"), text);
        refused(&desk.run("demo --out d"), 2, &format!("d/{name}"));
        assert_eq!(fs::read_to_string(desk.path(&format!("d/{name}"))).unwrap(), text);
        assert_eq!(fs::read_dir(desk.path("d")).unwrap().count(), 1, "{name}");
    }
}

/// Many classes, told by one word each, beside three that tell nothing.
fn many(classes: usize, each: usize) -> Vec<(String, String)> {
    let letter = |n: usize| char::from(b'a' + (n % 26) as u8);
    let word = |kind: &str, n: usize| format!("{kind}{}{}", letter(n / 26), letter(n));
    let row = |i: usize| {
        let class = i % classes;
        let noise = [word("x", i * 7 % 31), word("y", i * 11 % 37), word("z", i * 13 % 41)];
        (format!("class{class}"), format!("{} {}", word("say", class), noise.join(" ")))
    };
    (0..classes * each).map(row).collect()
}

#[test]
fn a_teacher_that_is_worse_than_the_labels_is_left_out() {
    let desk = Desk::new();
    let rows = many(12, 30);
    let table = |rows: &[(String, String)]| -> String {
        rows.iter().map(|(label, text)| format!("{label}\t{text}\n")).collect()
    };
    desk.put("a.tsv", table(&rows));
    // A teacher that takes every class for the next, and one that knows them.
    for (name, turned) in [("bad.jsonl", 1), ("good.jsonl", 0)] {
        let classes: Vec<String> = (0..12).map(|c| format!("class{c}")).collect();
        let quoted = classes.join("\",\"");
        let teacher = r#"{"name":"guess","digest":"none","method":"made up","command":""}"#;
        let mut soft =
            format!("{{\"qdllm_soft\":1,\"classes\":[\"{quoted}\"],\"teacher\":{teacher}}}\n");
        for (i, (_, text)) in rows.iter().enumerate() {
            let logits: Vec<String> = (0..12)
                .map(|c| if c == (i % 12 + turned) % 12 { "6".into() } else { "0".into() })
                .collect();
            soft += &format!("{{\"text\":\"{text}\",\"logits\":[{}]}}\n", logits.join(","));
        }
        desk.put(name, soft);
    }
    let line = "distill --data a.tsv --rows 256 --out m.qdm --epochs 2 --min-steps 300 --alpha 0.9";
    let said = |more: &str| stderr(&good(desk.run(&format!("{line} {more}"))));
    let left = said("--soft bad.jsonl");
    assert!(left.contains("warning: the teacher guess is left out"), "{left}");
    assert!(left.contains("labelled texts held out") && left.contains("--keep-teacher"), "{left}");
    let settings = fs::read_to_string(desk.path("m.qdm.toml")).unwrap();
    assert!(!settings.contains("bad.jsonl"), "{settings}");
    let alone = fs::read(desk.path("m.qdm")).unwrap();
    said("");
    assert!(alone == fs::read(desk.path("m.qdm")).unwrap(), "as from the labels alone");
    assert!(!said("--soft bad.jsonl --keep-teacher").contains("left out"));
    assert!(alone != fs::read(desk.path("m.qdm")).unwrap());
    assert!(!said("--soft good.jsonl").contains("left out"));
}

#[test]
fn commands_help_themselves() {
    let desk = Desk::new();
    let help = stdout(&good(desk.run("distill --help")));
    for heading in ["Data:", "Text:", "Training:", "Teacher:", "Output:"] {
        assert!(help.contains(heading), "{heading} is missing in {help}");
    }
    assert!(stdout(&good(desk.run("completions bash"))).contains("distill"));
    good(desk.run("man --out pages"));
    let page = fs::read_to_string(desk.path("pages/qdllm-distill.1")).unwrap();
    assert!(page.contains("qdllm") && page.contains("\\-\\-data"), "{page}");
    refused(&desk.run("inspect absent.qdm"), 1, "absent.qdm: cannot be read: No such file");
    assert_eq!(stderr(&desk.run("inspect absent.qdm")).matches("absent.qdm").count(), 1);
}

/// What a model answers, the text itself left out.
fn answers(desk: &Desk, model: &str, texts: &[&str]) -> Vec<Value> {
    let output = good(desk.typed(&format!("classify {model} --json"), &texts.join("\n")));
    let answer = |line: &str| {
        let mut answer: Value = serde_json::from_str(line).unwrap();
        answer.as_object_mut().unwrap().remove("text");
        answer
    };
    stdout(&output).lines().map(answer).collect()
}

#[test]
fn words_are_one_however_they_are_written_and_signs_count_on_request() {
    let desk = Desk::new();
    let city = |i: usize| ["Łódź", "Kraków", "o😀😀", "C", "5"][i / 2 % 5];
    let sign = |i: usize| if i.is_multiple_of(2) { "++" } else { "" };
    let line = |i: usize| format!("{}\tgo to {}{} {i}\n", CLASSES[i % 2], city(i), sign(i));
    desk.put("texts.tsv", (0..60).map(line).collect::<String>());
    good(desk.quick("distill --data texts.tsv --out new.qdm"));
    let shown = stdout(&good(desk.run("inspect new.qdm")));
    assert!(shown.contains("words by token rules 3\n"), "{shown}");
    let spellings = ["to ŁÓDŹ", "to Ło\u{301}dz\u{301}", "\u{feff}to lo\u{ad}dz", "to Lodz!"];
    let found = answers(&desk, "new.qdm", &spellings);
    assert!(found.iter().all(|a| a == &found[0] && a["found"] == 2), "{found:?}");
    let smiles = answers(&desk, "new.qdm", &["😀", "😀😀", "😀👍🏽😀"]);
    assert_eq!(smiles.iter().map(|a| a["found"].as_u64()).collect::<Vec<_>>(), [1, 2, 2].map(Some));
    let same = answers(&desk, "new.qdm", &["go to C++", "go to C"]);
    assert_eq!(same[0], same[1]);
    good(desk.quick("distill --data texts.tsv --keep-signs --out signs.qdm"));
    let other = answers(&desk, "signs.qdm", &["go to C++", "go to C", "go to 5", "go to 6"]);
    assert!(other[0] != other[1] && other[2] != other[3], "{other:?}");
    good(desk.quick("distill --data texts.tsv --unicode false --out old.qdm"));
    let old = answers(&desk, "old.qdm", &spellings);
    assert_eq!((&old[0]["found"], &old[2]["found"]), (&1.into(), &0.into()), "{old:?}");
    assert!(!stdout(&good(desk.run("inspect old.qdm"))).contains("token rules"));
    refused(
        &desk.quick("distill --data texts.tsv --unicode false --keep-signs --out x.qdm"),
        2,
        "keep-signs is true; it must be false without unicode",
    );
}

/// Five fires in 600 texts; the one word that tells them is in three times as many other texts.
fn alarms() -> String {
    let row = |i: usize| match i {
        0..5 => format!("fire\tthe alarm number {i}\n"),
        5..20 => format!("other\tthe alarm number {i}\n"),
        _ => format!("other\t{}\n", rows(600)[i].1),
    };
    (0..600).map(row).collect()
}

#[test]
fn a_rare_class_is_predicted_with_balanced_weights_and_not_without() {
    let desk = Desk::new();
    desk.put("rare.tsv", alarms());
    desk.put("few.tsv", "fire\tthe alarm\nother\talarm, the\nother\tplay the song\n");
    let line = "distill --data rare.tsv --valid few.tsv --rows 40 --min-steps 300";
    let trained = |more: &str| good(desk.run(&format!("{line} --epochs 12 --out m.qdm {more}")));
    let fires = || answers(&desk, "m.qdm", &["the alarm number 7"])[0]["label"] == "fire";
    let plain = trained("");
    let said = stderr(&plain);
    assert!(said.contains("class `fire` has 0.83% of the training texts"), "{said}");
    assert!(said.contains("--class-weights balanced") && said.contains("macro F1"), "{said}");
    assert!(!fires());
    let said = stderr(&trained("--class-weights balanced --criterion macro-f1"));
    assert!(said.contains("a text of each class weighs: fire 60.000, other 0.504"), "{said}");
    assert!(fires());
    trained("--class-weights balanced --regression");
    assert!(fires());
    desk.put("weights.tsv", "fire\t60\n");
    trained("--class-weights weights.tsv");
    assert!(fires());
    let told = stdout(&good(desk.run("eval m.qdm --data rare.tsv --json")));
    let told: Value = serde_json::from_str(&told).unwrap();
    for judged in ["student", "control"] {
        assert_eq!(told[judged]["per_class"][0]["recall"], 1.0, "{told}");
    }
    desk.put("weights.tsv", "fire\t60\nfrie\t2\n");
    let output = desk.run(&format!("{line} --class-weights weights.tsv --out m.qdm"));
    refused(&output, 1, "weights.tsv: line 2: `frie` is no class of the texts");
}
