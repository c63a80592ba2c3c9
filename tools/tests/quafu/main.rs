//! The cloud clients, the job store and the stand-in server, by the real binary over real connections.

mod bad_input;
mod credential;
mod faults;
mod kit;
mod python;
mod restart;
mod server;
mod submit;
