//! The cloud clients, the job store and the stand-in server, by the real binary over real connections. Here: a
//! running server, a store, and the binary.

mod credential;
mod faults;
mod stand_in;
mod submit;

use crate::BINARY;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// A token that occurs nowhere else, good for both platforms.
const TOKEN: &str = "qf_Zx9Vb7Qm3TkLw8Rj";

/// A server on a port of its own; it ends with the test.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(BINARY)
            .args(["serve", "--port", "0", "--json"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        Self { child, url: said["url"].as_str().unwrap().to_string() }
    }

    /// Scripts faults; those that are left from before are dropped.
    fn faults(&self, faults: &[&str]) {
        let body = serde_json::to_string(faults).unwrap();
        let (status, text) = self.ask("POST", "/admin/faults", "", &body);
        assert_eq!(status, 200, "{text}");
    }

    fn set_status(&self, status: &str) {
        let path = format!("/admin/chips/Baihua?status={status}");
        assert_eq!(self.ask("POST", &path, "", "").0, 200);
    }

    fn tasks(&self) -> Vec<Value> {
        let (_, text) = self.ask("GET", "/admin/tasks", "", "");
        serde_json::from_str::<Value>(&text).unwrap().as_array().unwrap().clone()
    }

    /// Requests of a kind that it got.
    fn received(&self, route: &str) -> u64 {
        let (_, text) = self.ask("GET", "/admin/received", "", "");
        serde_json::from_str::<Value>(&text).unwrap()[route].as_u64().unwrap_or(0)
    }

    /// Waits until it gets another request of a kind than the `before` that it had, from `child`.
    fn wait_for(&self, route: &str, before: u64, child: &mut Child) {
        while self.received(route) == before {
            assert_eq!(child.try_wait().unwrap(), None, "ended without asking for {route}");
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    fn ask(&self, method: &str, path: &str, header: &str, body: &str) -> (u16, String) {
        let address = self.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
             content-length: {}\r\n{header}\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text);
        let status = text.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        (status, text.split_once("\r\n\r\n").map_or(String::new(), |(_, b)| b.to_string()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder with a store, and the binary that works on it.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        // In memory where that is possible: hundreds of jobs are synchronised to it.
        let memory = Path::new("/dev/shm");
        let folder =
            if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Self { folder: folder.unwrap() }
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("jobs")
    }

    fn write(&self, name: &str, content: &str) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    fn texts(&self, n: usize) -> String {
        let words =
            ["turn on the light", "play music", "set a timer", "what is the weather", "stop"];
        let line = |i: usize| format!("x\t{} number {i}\n", words[i % words.len()]);
        self.write("texts.tsv", &(0..n).map(line).collect::<String>())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command
            .args(arguments)
            .env("QDLLM_JOBS", self.store())
            .env("QPU_API_TOKEN", TOKEN)
            .env("QUAFU_API_KEY", TOKEN);
        if ["submit", "fetch", "cancel", "status", "backends"].contains(&arguments[0]) {
            command.args(["--pause", "0", "--backoff", "5"]);
        }
        if ["submit", "cancel"].contains(&arguments[0]) && !arguments.contains(&"--settle") {
            command.args(["--settle", "0"]);
        }
        if arguments[0] == "fetch" {
            command.args(["--poll", "10"]);
        }
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs it; it must succeed. What it printed on standard output.
    fn good(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (out, err) = texts(&output);
        assert!(output.status.success(), "{arguments:?}: {out}{err}");
        out
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.good(arguments)).unwrap()
    }

    /// Runs it; it must fail with exit code 1. What it printed on standard error.
    fn bad(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (out, err) = texts(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {out}{err}");
        err
    }

    /// All files of the store, by name.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut all = BTreeMap::new();
        gather(&self.store(), &mut all);
        all
    }

    fn jobs(&self) -> Vec<Value> {
        let files = self.files();
        let jobs = files.iter().filter(|(path, _)| {
            let name = path.file_stem().unwrap().to_str().unwrap();
            name.bytes().all(|b| b.is_ascii_digit())
        });
        jobs.map(|(_, bytes)| serde_json::from_slice(bytes).unwrap()).collect()
    }
}

fn gather(folder: &Path, all: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            gather(&path, all);
        } else if let Ok(bytes) = fs::read(&path) {
            all.insert(path, bytes);
        }
    }
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// Every job has ended well, the server had each exactly once, and the counts on disk are the server's.
fn complete(bench: &Bench, server: &Server, jobs: usize) {
    let (files, tasks) = (bench.jobs(), server.tasks());
    assert_eq!(files.len(), jobs);
    assert_eq!(tasks.len(), jobs, "{tasks:#?}");
    for job in &files {
        assert_eq!(job["state"], "finished", "{job:#}");
        let same = tasks.iter().filter(|t| t["name"] == job["name"]).collect::<Vec<_>>();
        assert_eq!(same.len(), 1, "{}", job["name"]);
        assert_eq!(job["counts"], same[0]["counts"]);
        let shots: u64 =
            job["counts"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
        assert_eq!(Some(shots), same[0]["shots"].as_u64());
    }
}
