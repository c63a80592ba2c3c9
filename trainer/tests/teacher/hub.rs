//! Models fetched from a hub, here one on the loopback that serves a frozen checkpoint.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use qdllm_trainer::teacher::endpoint::key;
use qdllm_trainer::teacher::llm::hub::{Address, Hub};
use qdllm_trainer::teacher::llm::{Reading, extractor};

use super::families::{copy, tokenizer};

const TOKEN: &str = "hf_quite_secret";

/// Serves `/owner/name/resolve/main/FILE` from a folder to those who bring the token; notes what was asked.
fn serve(folder: PathBuf) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let notes = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            answer(stream, &folder, &notes);
        }
    });
    (address, asked)
}

fn answer(mut stream: TcpStream, folder: &Path, notes: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let first = lines.next().unwrap_or_default();
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    notes.lock().unwrap().push(path.clone());
    let has = |wanted: &str| headers.iter().any(|h| h.eq_ignore_ascii_case(wanted));
    let file = path.strip_prefix("/owner/name/resolve/main/").map(|name| folder.join(name));
    let (status, extra, body) = match file {
        _ if !has(&format!("authorization: Bearer {TOKEN}")) => {
            ("401 Unauthorized", String::new(), Vec::new())
        }
        Some(file) if file.is_file() => {
            let whole = std::fs::read(&file).unwrap();
            let range = headers.iter().find_map(|h| {
                let value = h.to_ascii_lowercase();
                let (from, to) = value.strip_prefix("range: bytes=")?.split_once('-')?;
                let from: usize = from.parse().ok()?;
                Some((from, to.parse().unwrap_or(whole.len() - 1).min(whole.len() - 1)))
            });
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            let common = format!("etag: \"{name}\"\r\nx-repo-commit: 0123\r\n");
            match range {
                Some((from, to)) => (
                    "206 Partial Content",
                    format!("{common}content-range: bytes {from}-{to}/{}\r\n", whole.len()),
                    whole[from..=to].to_vec(),
                ),
                None => ("200 OK", common, whole),
            }
        }
        _ => ("404 Not Found", String::new(), Vec::new()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\n{extra}content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
}

fn hub(endpoint: &str, cache: &Path, token: Option<&str>) -> Hub {
    let token = token.and_then(|t| key(t.into(), "test").ok());
    Hub { endpoint: Some(endpoint.into()), cache: Some(cache.into()), token }
}

fn address() -> Address {
    Address::parse("hf:owner/name").unwrap().unwrap()
}

#[test]
fn a_sharded_model_is_fetched_once_and_loaded() {
    let folder = copy("llama3");
    tokenizer(folder.path());
    let (endpoint, asked) = serve(folder.path().to_owned());
    let cache = tempfile::tempdir().unwrap();
    let hub = hub(&endpoint, cache.path(), Some(TOKEN));
    let path = hub.fetch(&address()).unwrap();
    let reading = Reading { prompt: "{text}".into(), limit: 32, layers: Vec::new(), adapter: None };
    let far = extractor(&path, &reading).unwrap().extract(&["w9 w10"]).unwrap();
    let near = extractor(folder.path(), &reading).unwrap().extract(&["w9 w10"]).unwrap();
    assert_eq!(far, near);
    let shards = |asked: &[String]| asked.iter().filter(|p| p.contains("-of-00002")).count();
    let first = shards(&asked.lock().unwrap());
    assert!(first >= 2);
    assert_eq!(hub.fetch(&address()).unwrap(), path);
    assert_eq!(shards(&asked.lock().unwrap()), first, "what is there is not fetched again");
}

#[test]
fn refusals_say_what_to_do_and_never_the_token() {
    let folder = copy("llama3");
    let (endpoint, _) = serve(folder.path().to_owned());
    let cache = tempfile::tempdir().unwrap();
    for token in [None, Some("hf_wrong_one")] {
        let message =
            hub(&endpoint, cache.path(), token).fetch(&address()).unwrap_err().to_string();
        assert!(message.contains("HF_TOKEN") && message.contains("config.json"), "{message}");
        assert!(!message.contains("hf_wrong_one"), "{message}");
    }
    let message =
        hub(&endpoint, cache.path(), Some(TOKEN)).fetch(&address()).unwrap_err().to_string();
    assert!(message.contains("tokenizer.json") && !message.contains(TOKEN), "{message}");
    let nobody = hub("http://127.0.0.1:1", cache.path(), Some(TOKEN));
    let elsewhere = Address::parse("hf:other/name").unwrap().unwrap();
    let message = nobody.fetch(&elsewhere).unwrap_err().to_string();
    assert!(message.contains("other means") && !message.contains(TOKEN), "{message}");
}
