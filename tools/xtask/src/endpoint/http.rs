//! HTTP/1.1 as far as one JSON request and its answer need it.

use anyhow::{Context, Result, ensure};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// A request or an answer: its first line and its body.
pub struct Message {
    /// `POST /v1/completions HTTP/1.1` or `HTTP/1.1 200 OK`.
    pub first: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Message {
    /// Reads one message; without a `Content-Length` nothing follows its head.
    ///
    /// # Errors
    /// When the connection ends within it, or its body comes in chunks.
    pub fn read(stream: &TcpStream) -> Result<Self> {
        let mut reader = BufReader::new(stream);
        let (mut first, mut line, mut length) = (String::new(), String::new(), 0);
        reader.read_line(&mut first)?;
        ensure!(!first.is_empty(), "the connection ended before a message");
        loop {
            line.clear();
            ensure!(reader.read_line(&mut line)? > 0, "the connection ended within a head");
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().with_context(|| format!("head line {line:?}"))?;
            }
            let chunked = name.eq_ignore_ascii_case("transfer-encoding");
            ensure!(!chunked, "a body in chunks: this is read from servers that tell its length");
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).context("the connection ended within a body")?;
        Ok(Self { first: first.trim_end().to_owned(), body })
    }

    /// The path of a request.
    pub fn path(&self) -> &str {
        self.first.split(' ').nth(1).unwrap_or_default()
    }

    /// The status of an answer; 0 when there is none.
    pub fn status(&self) -> u16 {
        self.first.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
    }
}

/// Asks a server: a POST of JSON, or a GET when there is no body.
///
/// # Errors
/// When the server does not answer.
pub fn ask(server: SocketAddr, path: &str, body: &[u8]) -> Result<Message> {
    let mut stream = TcpStream::connect(server)?;
    let verb = if body.is_empty() { "GET" } else { "POST" };
    let head = format!(
        "{verb} {path} HTTP/1.1\r\nhost: {server}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    Message::read(&stream)
}

/// Writes an answer, or the first `share` of its body.
///
/// # Errors
/// When the client is gone.
pub fn answer(
    mut stream: &TcpStream,
    status: u16,
    extra: &str,
    body: &[u8],
    share: f64,
) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n{extra}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(&body[..(body.len() as f64 * share) as usize])?;
    stream.flush()
}
