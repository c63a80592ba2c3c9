//! A stand-in for the clouds on this machine: a real HTTP server that runs circuits, and misbehaves on
//! demand.
//!
//! It speaks the protocols of Quafu-SQC and of the portal's task API as far as their published clients
//! use them. `/admin` scripts faults and tells what was received.

mod admin;
pub mod chip;
mod execute;
pub mod fault;
mod http;
mod portal;
mod sqc;
mod world;

use fault::Fault;
use std::net::SocketAddr;
use std::time::Duration;
use world::World;

pub use execute::Noise;

/// How to serve.
#[derive(Clone, Debug)]
pub struct Options {
    /// Port on 127.0.0.1; 0: any free one.
    pub port: u16,
    /// Seed of the shots.
    pub seed: u64,
    /// How long a task runs, besides what its simulation takes.
    pub delay: Duration,
    /// Tasks of others that stand in the queue at the start.
    pub queue: usize,
    /// Chips.
    pub chips: Vec<chip::Chip>,
    /// Noise of real chips; simulators of the portal have none.
    pub noise: Noise,
    /// Faults to begin with.
    pub faults: Vec<Fault>,
    /// Requests are listed on standard error.
    pub verbose: bool,
}

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The port cannot be had.
    #[error("127.0.0.1:{port}: {source}; is another one running? --port 0 takes any free port")]
    Port {
        /// The port.
        port: u16,
        /// Why.
        source: std::io::Error,
    },
    /// The system.
    #[error("the server cannot be started: {0}")]
    System(#[from] std::io::Error),
}

/// Serves until the process ends; `ready` is told the address once requests are accepted.
///
/// # Errors
/// [`ServeError`].
pub fn run(options: Options, ready: impl FnOnce(SocketAddr)) -> Result<(), ServeError> {
    let (port, verbose) = (options.port, options.verbose);
    let world = World::start(options);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    runtime.block_on(async move {
        // Never another address: there is no protection beyond this machine.
        let listener = tokio::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, port))
            .await
            .map_err(|source| ServeError::Port { port, source })?;
        ready(listener.local_addr()?);
        http::accept(listener, world, verbose).await;
        Ok(())
    })
}
