//! A stand-in for the clouds on this machine: a real HTTP server that runs circuits, and misbehaves on
//! demand.
//!
//! It speaks the protocols of Quafu-SQC and of the portal's task API as far as their published clients
//! use them. `/admin` scripts faults and tells what was received.

mod admin;
pub mod chip_info;
pub mod cloud;
pub mod fault;
mod message;
mod portal;
pub mod run;
mod server;
mod sqc;

use cloud::{Cloud, Options};
use std::net::SocketAddr;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    #[error("127.0.0.1:{port}: {source}; is another one running? --port 0 takes any free port")]
    Port { port: u16, source: std::io::Error },
    #[error("the server cannot be started: {0}")]
    System(#[from] std::io::Error),
}

/// Serves until the process ends; `ready` is told the address once requests are accepted.
pub fn serve(options: Options, ready: impl FnOnce(SocketAddr)) -> Result<(), ServeError> {
    let (port, verbose) = (options.port, options.verbose);
    let cloud = Cloud::start(options);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    runtime.block_on(async move {
        // Never another address: there is no protection beyond this machine.
        let listener = tokio::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, port))
            .await
            .map_err(|source| ServeError::Port { port, source })?;
        ready(listener.local_addr()?);
        server::accept(listener, cloud, verbose).await;
        Ok(())
    })
}
