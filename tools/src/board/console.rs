//! The board's console: lines to the board and what it says back.

use super::{BoardError, Link as _, Port};
use anyhow::Result;
use std::io::{BufRead as _, IsTerminal as _, Write};
use std::sync::mpsc::{RecvTimeoutError, TryRecvError, channel};
use std::time::{Duration, Instant};

pub fn console(mut port: Port, out: &mut impl Write) -> Result<()> {
    let mut listening = port.try_clone()?;
    if std::io::stdin().is_terminal() {
        eprintln!("type a sentence; :help lists the commands; Ctrl-D ends");
    }
    let (said, heard) = channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count) = listening.receive(&mut buffer, Duration::from_millis(50))
            && said.send(buffer[..count].to_vec()).is_ok()
        {}
    });
    let (typed, lines) = channel();
    std::thread::spawn(move || {
        let mut lines = std::io::stdin().lock().lines();
        while let Some(Ok(line)) = lines.next()
            && typed.send(line).is_ok()
        {}
    });
    // After the last line the board has a moment to answer it.
    let mut ended: Option<Instant> = None;
    loop {
        match heard.recv_timeout(Duration::from_millis(20)) {
            Ok(bytes) => {
                out.write_all(&bytes)?;
                out.flush()?;
                if !bytes.is_empty() && ended.is_some() {
                    ended = Some(Instant::now());
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                let (name, during) = ("the board".into(), String::new());
                return Err(BoardError::Lost { name, during }.into());
            }
        }
        match lines.try_recv() {
            Ok(line) => port.send(format!("{line}\n").as_bytes())?,
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => {
                let since = *ended.get_or_insert_with(Instant::now);
                if since.elapsed() > Duration::from_secs(1) {
                    return Ok(());
                }
            }
        }
    }
}
