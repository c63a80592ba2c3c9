//! A board's binary protocol from this side: one request, one answer, over any stream of bytes.

use anyhow::{Context, Result, anyhow, bail, ensure};
use qdllm_link::message::{ModelId, Request, Response, Slot};
use qdllm_link::{Fault, frame};
use std::io::{Read, Write};

/// One side of a conversation.
pub struct Wire<S> {
    /// The stream, for what is no frame.
    pub stream: S,
    number: u16,
    /// Bytes read and not yet used.
    read: Vec<u8>,
    frame: Vec<u8>,
}

impl<S: Read + Write> Wire<S> {
    /// A conversation over `stream`, which must give up reading after some time.
    pub fn new(stream: S) -> Self {
        Self { stream, number: 0, read: Vec::new(), frame: Vec::new() }
    }

    /// The answer to `request`. Answers to other requests, and what is no frame, are passed over.
    ///
    /// # Errors
    /// When the stream ends or is silent.
    pub fn ask(&mut self, request: &Request<'_>) -> Result<Response<'_>> {
        self.number = self.number.wrapping_add(1);
        let bytes = encoded(self.number, request)?;
        self.stream.write_all(&bytes)?;
        loop {
            self.next_frame()?;
            match frame::open::<Response<'_>>(&self.frame) {
                Ok((number, _)) if number == self.number => break,
                _ => {}
            }
        }
        // Once more, because a borrow that is returned from inside the loop would last all of it.
        let (_, response) = frame::open(&self.frame).map_err(|(_, fault)| anyhow!("{fault}"))?;
        Ok(response)
    }

    /// Reads up to the next frame's end and decodes it; text between frames is dropped.
    fn next_frame(&mut self) -> Result<()> {
        loop {
            if let Some(end) = self.read.iter().position(|&byte| byte == 0) {
                let mut bytes: Vec<u8> = self.read.drain(..=end).collect();
                bytes.pop();
                if let Some(decoded) = frame::decode(&mut bytes)
                    && !decoded.is_empty()
                {
                    self.frame = decoded.to_vec();
                    return Ok(());
                }
                continue;
            }
            let mut buffer = [0; 4096];
            let count = self.stream.read(&mut buffer).context("the board does not answer")?;
            ensure!(count > 0, "the board is gone");
            self.read.extend_from_slice(&buffer[..count]);
        }
    }

    /// Transfers a model file into the slot that is not in use.
    ///
    /// # Errors
    /// When the board refuses a step or is gone; says at which byte.
    pub fn put(&mut self, file: &[u8]) -> Result<()> {
        let model = id(file)?;
        let mut at = self.received(&Request::Begin(model)).context("begin")? as usize;
        while at < file.len() {
            let end = file.len().min(at + frame::CHUNK_BYTES);
            let chunk = Request::Chunk { offset: u32::try_from(at)?, data: &file[at..end] };
            let answer = self.received(&chunk);
            at = answer.with_context(|| format!("chunk at {at} of {}", file.len()))? as usize;
        }
        self.received(&Request::Finish(model)).context("finish")?;
        Ok(())
    }

    /// Lets the board use a model that was put, from the reset on that follows.
    ///
    /// # Errors
    /// When the board refuses it or is gone.
    pub fn activate(&mut self, model: ModelId) -> Result<()> {
        match self.ask(&Request::Activate(model)).context("activate")? {
            Response::Switched { .. } => Ok(()),
            other => bail!("activate was answered with {other:?}"),
        }
    }

    fn received(&mut self, request: &Request<'_>) -> Result<u32> {
        match self.ask(request)? {
            Response::Received(at) => Ok(at),
            other => bail!("a step of the transfer was answered with {other:?}"),
        }
    }

    /// What a slot holds.
    ///
    /// # Errors
    /// When the board does not answer.
    pub fn slot(&mut self, slot: u8) -> Result<Slot> {
        match self.ask(&Request::Slot(slot))? {
            Response::Slot(slot) => Ok(slot),
            other => bail!("slot was answered with {other:?}"),
        }
    }

    /// The model that the board uses, if it has one.
    ///
    /// # Errors
    /// When the board does not answer.
    pub fn model(&mut self) -> Result<Option<ModelId>> {
        match self.ask(&Request::Info)? {
            Response::Info(info) => Ok(info.model),
            other => bail!("info was answered with {other:?}"),
        }
    }
}

/// Which model a file is.
///
/// # Errors
/// When it is too short to be one.
pub fn id(file: &[u8]) -> Result<ModelId> {
    let checksum = file.last_chunk().context("the file is too short to be a model")?;
    Ok(ModelId { length: u32::try_from(file.len())?, checksum: u32::from_le_bytes(*checksum) })
}

/// A request as it goes over the wire.
///
/// # Errors
/// When it is longer than a frame.
pub fn encoded(number: u16, request: &Request<'_>) -> Result<Vec<u8>> {
    let mut buffer = [0; frame::WIRE_BYTES];
    let bytes = frame::encode(number, request, &mut buffer);
    Ok(bytes.map_err(|fault: Fault| anyhow!("{fault}"))?.to_vec())
}
