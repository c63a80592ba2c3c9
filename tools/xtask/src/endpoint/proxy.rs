//! A bad line to a good server: a proxy on loopback that fails by seeded chance and counts what passed.

use super::http::{Message, answer, ask};
use anyhow::Result;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fault {
    /// 429 with `Retry-After`; the server is not asked.
    Limited,
    /// 503; the server is not asked.
    Busy,
    /// A web page with status 200; the server is not asked.
    Html,
    /// The server's answer, cut in the middle.
    Cut,
    /// The server's answer, kept back beyond the client's patience.
    Held,
}

/// Faults and how many of a hundred requests they befall.
const CHANCES: [(Fault, u32); 5] =
    [(Fault::Limited, 10), (Fault::Busy, 5), (Fault::Html, 4), (Fault::Cut, 6), (Fault::Held, 2)];

/// What a proxy saw.
#[derive(Clone, Default)]
pub struct Seen {
    /// Requests that arrived whole.
    pub arrived: u64,
    /// Requests that the server answered.
    pub served: u64,
    /// Tokens that the server's own `usage` gave for them.
    pub tokens: u64,
    /// Answers of the server without `usage`.
    pub uncounted: u64,
    /// Answers of the server that were no success, as their status lines and bodies.
    pub refused: Vec<String>,
    /// Faults made.
    pub faults: BTreeMap<Fault, u64>,
    /// Whole answers given, by request.
    pub given: BTreeMap<u64, u64>,
}

impl Seen {
    /// Whole answers that were given before.
    pub fn twice(&self) -> u64 {
        self.given.values().map(|n| n - 1).sum()
    }
}

/// A running proxy.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    server: SocketAddr,
    /// Seed of the faults and the client's patience; `None` makes none.
    rough: Option<(u64, Duration)>,
    seen: Mutex<Seen>,
    over: AtomicBool,
}

impl Proxy {
    /// Starts on a free port, in front of `server`.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start(server: SocketAddr, rough: Option<(u64, Duration)>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (seen, over) = (Mutex::default(), AtomicBool::new(false));
        let shared = Arc::new(Shared { server, rough, seen, over });
        let all = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if all.over.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&all);
                // A client that was ended leaves a broken connection behind: no failure of the line.
                std::thread::spawn(move || shared.serve(&stream));
            }
        });
        Ok(Self { address, shared })
    }

    /// The address to give to the client.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it saw until now.
    pub fn seen(&self) -> Seen {
        self.shared.seen().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: &TcpStream) -> Result<()> {
        let request = Message::read(stream)?;
        let fault = {
            let mut seen = self.seen();
            seen.arrived += 1;
            let fault = self.fault(seen.arrived);
            if let Some(fault) = fault {
                *seen.faults.entry(fault).or_default() += 1;
            }
            fault
        };
        let error = br#"{"error":{"message":"by chance"}}"#;
        match fault {
            Some(Fault::Limited) => {
                return Ok(answer(stream, 429, "retry-after: 1\r\n", error, 1.0)?);
            }
            Some(Fault::Busy) => return Ok(answer(stream, 503, "", error, 1.0)?),
            Some(Fault::Html) => {
                return Ok(answer(stream, 200, "", b"<html><body>Sign in</body></html>", 1.0)?);
            }
            Some(Fault::Cut | Fault::Held) | None => {}
        }
        let served = ask(self.server, request.path(), &request.body)?;
        self.count(&served);
        match (fault, self.rough) {
            (Some(Fault::Held), Some((_, patience))) => {
                std::thread::sleep(patience.mul_f64(1.2));
                return Ok(());
            }
            (Some(_), _) => return Ok(answer(stream, served.status(), "", &served.body, 0.5)?),
            (None, _) => {}
        }
        answer(stream, served.status(), "", &served.body, 1.0)?;
        if served.status() == 200 {
            let mut hasher = DefaultHasher::new();
            (request.path(), &request.body).hash(&mut hasher);
            *self.seen().given.entry(hasher.finish()).or_default() += 1;
        }
        Ok(())
    }

    fn count(&self, served: &Message) {
        let mut seen = self.seen();
        seen.served += 1;
        if served.status() != 200 {
            let said = String::from_utf8_lossy(&served.body).chars().take(300).collect::<String>();
            seen.refused.push(format!("{}: {said}", served.first));
            return;
        }
        let body: Value = serde_json::from_slice(&served.body).unwrap_or_default();
        match body["usage"]["total_tokens"].as_u64() {
            Some(tokens) => seen.tokens += tokens,
            None => seen.uncounted += 1,
        }
    }

    /// The fault of a request, by its number.
    fn fault(&self, number: u64) -> Option<Fault> {
        let mut chance = ChaCha8Rng::seed_from_u64(self.rough?.0);
        chance.set_stream(number);
        let mut draw = chance.random_range(0..100);
        for (fault, share) in CHANCES {
            if draw < share {
                return Some(fault);
            }
            draw -= share;
        }
        None
    }
}
