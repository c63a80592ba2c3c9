//! An OpenAI-compatible server of a student, on loopback, failing by script.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use super::run::Student;

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// HTTP 429 with `Retry-After` in milliseconds.
    Limited(u64),
    /// An HTTP status with an error object.
    Status(u16),
    /// A web page with status 200.
    Html,
    /// Half of the answer, then the end of the connection.
    Cut,
    /// Nothing within any time limit of these tests.
    Hang,
    /// The connection ends without an answer.
    Close,
    /// A log-probability that is no number, as Python writes it.
    NaN,
    /// An error object with status 200, as some gateways answer.
    Gateway,
    /// Everything packed by gzip, which nobody asked for.
    Gzip,
}

/// What the server can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offers {
    /// Log-probabilities of chat answers.
    Chat,
    /// Chat without log-probabilities, completions with echo.
    Echo,
    /// The same, each echoed token with the next one's log-probability, as llama-cpp-python 0.3.36 answers for a
    /// model without an opening token.
    LateEcho,
    /// Chat alone, as many choices as asked for.
    Votes,
    /// Chat alone, one choice whatever is asked for.
    OneVote,
    /// As `Chat`, behind a thought of 40 tokens that is cut where there is no room; whether the model can be told not
    /// to think.
    Thinks(bool),
    /// As `Chat`, and every fifth text is refused: by status 400, by an answer without content, or by its end.
    Refuses,
    /// As `Chat`, of a model that says anything but a class.
    Babbles,
}

/// An address of the loopback that nobody else can have and that refuses connections.
pub struct Address(Socket);

impl Address {
    pub fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        Self(socket)
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().unwrap().as_socket().unwrap())
    }
}

/// A running server.
pub struct Server {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    offers: Offers,
    script: Box<dyn Fn(u64) -> Fault + Send + Sync>,
    latency: Duration,
    requests: AtomicU64,
    tokens: AtomicU64,
    most_at_once: AtomicU64,
    at_once: AtomicU64,
    /// Whole answers by text.
    answered: Mutex<HashMap<String, u32>>,
    keys: Mutex<Vec<String>>,
    over: AtomicBool,
}

impl Server {
    /// Starts on a free port; `script` gives the fault of each request, counted from 0.
    pub fn start(
        offers: Offers,
        script: impl Fn(u64) -> Fault + Send + Sync + 'static,
        latency: Duration,
    ) -> Self {
        Self::start_at(Address::new(), offers, script, latency)
    }

    /// Starts on an address that refused connections until now.
    pub fn start_at(
        address: Address,
        offers: Offers,
        script: impl Fn(u64) -> Fault + Send + Sync + 'static,
        latency: Duration,
    ) -> Self {
        address.0.listen(128).unwrap();
        let listener = TcpListener::from(address.0);
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            offers,
            script: Box::new(script),
            latency,
            requests: AtomicU64::new(0),
            tokens: AtomicU64::new(0),
            most_at_once: AtomicU64::new(0),
            at_once: AtomicU64::new(0),
            answered: Mutex::default(),
            keys: Mutex::default(),
            over: AtomicBool::new(false),
        });
        let for_all = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if for_all.over.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(stream), shared) = (stream, Arc::clone(&for_all)) else { return };
                std::thread::spawn(move || {
                    let now = shared.at_once.fetch_add(1, Ordering::SeqCst) + 1;
                    shared.most_at_once.fetch_max(now, Ordering::SeqCst);
                    // A client that was ended leaves a broken connection behind: no failure of the server.
                    let _ = shared.serve(stream);
                    shared.at_once.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, shared }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Requests received whole.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// Tokens of the answers sent.
    pub fn tokens(&self) -> u64 {
        self.shared.tokens.load(Ordering::SeqCst)
    }

    /// Most requests at once.
    pub fn most_at_once(&self) -> u64 {
        self.shared.most_at_once.load(Ordering::SeqCst)
    }

    /// Whole answers by text.
    pub fn answered(&self) -> HashMap<String, u32> {
        self.shared.answered.lock().unwrap().clone()
    }

    /// The `Authorization` headers received.
    pub fn keys(&self) -> Vec<String> {
        self.shared.keys.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut first = String::new();
        reader.read_line(&mut first)?;
        let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
        let (mut length, mut line) = (0, String::new());
        while {
            line.clear();
            reader.read_line(&mut line)? > 2
        } {
            let (name, value) = line.trim_end().split_once(": ").unwrap_or_default();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().unwrap(),
                "authorization" => self.keys.lock().unwrap().push(value.to_owned()),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let fault = (self.script)(self.requests.fetch_add(1, Ordering::SeqCst));
        std::thread::sleep(self.latency);
        let request: Value = serde_json::from_slice(&body).unwrap();
        let (status, answer, text) = self.answer(&path, &request);
        let (mut status, mut body, mut extra) = (status, answer.to_string(), String::new());
        match fault {
            Fault::None | Fault::Cut => {}
            Fault::Limited(ms) => {
                (status, extra) = (429, format!("retry-after-ms: {ms}\r\n"));
                body = json!({"error": {"message": "slow down"}}).to_string();
            }
            Fault::Status(code) => {
                (status, body) = (code, json!({"error": {"message": "scripted"}}).to_string());
            }
            Fault::Html => body = "<!doctype html><html><body>Sign in</body></html>".into(),
            Fault::Hang => {
                std::thread::sleep(Duration::from_secs(3));
                return Ok(());
            }
            Fault::Close => return Ok(()),
            Fault::Gateway => {
                body = json!({"error": {"message": "upstream \u{1b}[31mhiccup\nerror: fake", "code": 502}}).to_string();
            }
            Fault::Gzip => extra = "content-encoding: gzip\r\n".into(),
            Fault::NaN => body = body.replacen("\"logprob\":", "\"logprob\":NaN,\"was\":", 1),
        }
        let mut body = body.into_bytes();
        if fault == Fault::Gzip {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
            gzip.write_all(&body)?;
            body = gzip.finish()?;
        }
        let head = format!(
            "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n{extra}\r\n",
            body.len()
        );
        let end = if fault == Fault::Cut { body.len() / 2 } else { body.len() };
        stream.write_all(head.as_bytes())?;
        stream.write_all(&body[..end])?;
        let whole = matches!(fault, Fault::None | Fault::Gzip);
        if whole && status == 200 && refused_by(self.offers, &text) == 0 {
            *self.answered.lock().unwrap().entry(text).or_default() += 1;
            let used = answer["usage"]["total_tokens"].as_u64().unwrap();
            self.tokens.fetch_add(used, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Status, JSON and the text that was asked about.
    fn answer(&self, path: &str, request: &Value) -> (u16, Value, String) {
        let student = Student::get();
        match path {
            "/v1/chat/completions" => {
                let content = request["messages"][0]["content"].as_str().unwrap();
                let (_, rest) = content.split_once("\nText: ").unwrap();
                let text = rest.split_once("\n\nAnswer").unwrap().0.to_owned();
                let names = names(content);
                let p = student.probabilities(&text);
                assert_eq!(names.len(), p.len(), "{content}");
                let mut answer = self.chat(request, content, &names, &p);
                let status = self.disturb(request, &text, &mut answer);
                (status, answer, text)
            }
            "/v1/completions" if matches!(self.offers, Offers::Echo | Offers::LateEcho) => {
                let prompt = request["prompt"].as_str().unwrap();
                let (_, rest) = prompt.split_once("The text \"").unwrap();
                let (text, word) = rest.split_once("\" is about ").unwrap();
                let mut answer = echo(prompt, text, word);
                if self.offers == Offers::LateEcho {
                    late(&mut answer["choices"][0]["logprobs"]);
                }
                (200, answer, text.to_owned())
            }
            _ => (404, json!({"detail": "Not Found"}), String::new()),
        }
    }

    /// Refuses, or puts a thought before the answer; the status.
    fn disturb(&self, request: &Value, text: &str, answer: &mut Value) -> u16 {
        let choice = &mut answer["choices"][0];
        match (self.offers, refused_by(self.offers, text)) {
            (_, 1) => {
                *answer = json!({"error": {"code": "content_filter", "message": "triggering our content management policy"}});
                return 400;
            }
            (_, 2) => *choice = json!({"message": {"content": null}, "finish_reason": "stop"}),
            (_, 3) => {
                *choice = json!({"message": {"content": ""}, "finish_reason": "content_filter"});
            }
            (Offers::Babbles, _) => {
                let list =
                    json!([{"token": "The", "logprob": -0.1}, {"token": "A", "logprob": -7.0}]);
                choice["logprobs"]["content"][0] = json!({"token": "The", "top_logprobs": list});
            }
            (Offers::Thinks(obeys), _) => {
                let off = request["chat_template_kwargs"]["enable_thinking"] == false;
                if obeys && off {
                    return 200;
                }
                let list = json!([{"token": "<think>", "logprob": -1e-4}, {"token": "A", "logprob": -17.0}]);
                if request["logprobs"] == true {
                    choice["logprobs"]["content"][0] =
                        json!({"token": "<think>", "top_logprobs": list});
                }
                let room = request["max_tokens"].as_u64().unwrap() > 40;
                let said = choice["message"]["content"].as_str().unwrap();
                let thought = format!("<think>\nA or B? It must be {said}");
                let (said, end) = match room {
                    true => (format!("{thought}</think>\n\n{said}"), "stop"),
                    false => (thought, "length"),
                };
                choice["message"]["content"] = said.into();
                choice["finish_reason"] = end.into();
            }
            _ => {}
        }
        200
    }

    fn chat(&self, request: &Value, content: &str, names: &[String], p: &[f32]) -> Value {
        // A token is four bytes here, like English in a large vocabulary.
        let prompt_tokens = content.len() as u64 / 4 + 5;
        let n = match self.offers {
            Offers::Votes => request["n"].as_u64().unwrap_or(1),
            _ => 1,
        };
        let choices: Vec<Value> = (0..n)
            .map(|i| {
                // An even sequence over the unit interval: shares of votes are the probabilities.
                let turn = self.requests.load(Ordering::SeqCst).wrapping_mul(7919) + i;
                let u = (turn as f64 * 0.618_033_988_749).fract() as f32;
                let mut sum = 0.0;
                let drawn = p.iter().position(|p| { sum += p; u < sum }).unwrap_or(p.len() - 1);
                json!({"index": i, "message": {"role": "assistant", "content": format!("{}.", names[drawn])}})
            })
            .collect();
        let mut answer = json!({
            "object": "chat.completion", "model": request["model"], "choices": choices,
            "usage": {"prompt_tokens": prompt_tokens, "completion_tokens": n, "total_tokens": prompt_tokens + n},
        });
        let scores = !matches!(
            self.offers,
            Offers::Echo | Offers::LateEcho | Offers::Votes | Offers::OneVote
        );
        if scores && request["logprobs"] == true {
            let mut list: Vec<Value> = names
                .iter()
                .zip(p)
                .map(|(name, p)| {
                    let token: String = name.chars().take(3).collect();
                    json!({"token": format!(" {token}"), "logprob": p.max(1e-30).ln()})
                })
                .collect();
            list.push(json!({"token": "\n", "logprob": -20.0}));
            list.truncate(request["top_logprobs"].as_u64().unwrap() as usize);
            answer["choices"][0]["logprobs"] = json!({"content": [{"token": list[0]["token"], "logprob": list[0]["logprob"], "top_logprobs": list}]});
        }
        answer
    }
}

/// How a text is refused, 0 where it is not.
pub fn refused_by(offers: Offers, text: &str) -> usize {
    let sum = text.bytes().map(usize::from).sum::<usize>();
    if offers == Offers::Refuses && sum % 5 == 0 { sum / 5 % 3 + 1 } else { 0 }
}

/// The names by which the prompt asks for a class, in order: letters or words.
fn names(content: &str) -> Vec<String> {
    let lines = content.lines().filter_map(|l| l.strip_prefix("- "));
    lines
        .map(|l| l.split_once(": ").map_or(l, |(letter, _)| letter).to_owned())
        .map(|l| l.split_once(" (").map_or(l.clone(), |(name, _)| name.to_owned()))
        .collect()
}

/// An echoed prompt in tokens of four characters, a new one at each space; every token of the word has the class's
/// log-probability.
fn echo(prompt: &str, text: &str, word: &str) -> Value {
    let student = Student::get();
    let class = student.classes().iter().position(|c| c.replace('_', " ") == word).unwrap();
    let log_p = student.probabilities(text)[class].ln();
    let word_from = prompt.chars().count() - word.chars().count() - 1;
    let (mut tokens, mut offsets) = (Vec::<String>::new(), Vec::new());
    for (i, c) in prompt.chars().enumerate() {
        match tokens.last_mut() {
            Some(last) if c != ' ' && i != word_from && last.chars().count() < 4 => last.push(c),
            _ => {
                tokens.push(c.to_string());
                offsets.push(i);
            }
        }
    }
    let mut values: Vec<Value> =
        offsets.iter().map(|&o| if o >= word_from { json!(log_p) } else { json!(-1.5) }).collect();
    values[0] = Value::Null;
    // The one generated token.
    tokens.push(".".into());
    offsets.push(prompt.chars().count());
    values.push(json!(-0.5));
    let n = tokens.len();
    json!({
        "object": "text_completion",
        "choices": [{"text": format!("{prompt}."), "logprobs": {"tokens": tokens, "text_offset": offsets, "token_logprobs": values}}],
        "usage": {"prompt_tokens": n - 1, "completion_tokens": 1, "total_tokens": n},
    })
}

/// Gives each token the log-probability of the next; the generated one has no row then and is left out.
fn late(logprobs: &mut Value) {
    logprobs["token_logprobs"].as_array_mut().unwrap().remove(0);
    logprobs["token_logprobs"][0] = Value::Null;
    for list in ["tokens", "text_offset"] {
        logprobs[list].as_array_mut().unwrap().pop();
    }
}
