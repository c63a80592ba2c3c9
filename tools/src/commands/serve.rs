//! `qdllm-hw serve`: the stand-in for the clouds.

use crate::commands::processor;
use crate::noise::Figures;
use crate::processor::Processor;
use crate::quafu::stand_in::cloud::{Chip, Cloud, State, Task};
use crate::quafu::stand_in::request::Fault;
use crate::quafu::stand_in::serve;
use anyhow::{Context, Result};
use clap::Args;
use qdllm_host::terminal::say;
use serde_json::{Value, json};
use std::time::Duration;

/// Stand in for the quantum clouds, on this machine
///
/// Answers like Quafu-SQC (`--platform sqc`) and like the portal's task API (`--platform portal`) on
/// one address, 127.0.0.1 only, and runs the circuits with the chip's noise, as `simulate` models it.
/// Any token will do. Nothing is kept when it ends.
///
/// Faults happen on demand. WHERE: any, verify, backends, run, status, result, cancel, list, chip.
/// WHAT:
///   500, 401, 422 ...  an HTTP status instead of the work
///   429:SECONDS        the same with Retry-After
///   after:500          the work is done, then the status is answered; also 201 to 299
///   cut-before         the connection is cut instead of the work
///   cut                the work is done, then the connection is cut
///   truncate           the work is done, then the connection is cut in the middle of the answer
///   slow:MS            the work is done, and answered so much later
///   fail               the task that is submitted will fail
///   other              the result is another circuit's
///   long               the result's bit strings are too long
///   stale              the list of tasks does not show any yet
///   echo               HTTP 401 that repeats the token
///   answer:FORM        the work is done, and answered with HTTP 200 and another FORM: text (the number
///                      as a text), float, huge, negative, null, nested, empty, html, half, same (the
///                      first task of all), code (an error code that nobody knows)
/// While it runs, POST /admin/faults takes a JSON list of such texts, POST
/// /admin/chips/Baihua?status=Offline takes a chip away (status=Online brings it back), GET
/// /admin/tasks and /admin/received tell what came.
///
/// Examples:
///   qdllm-hw serve --port 7700
///   qdllm-hw serve --fault run=cut --fault 'any=429:1*3' --offline Baihua
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct ServeArgs {
    /// Port on 127.0.0.1; 0: any free one
    #[arg(long, default_value_t = 7700)]
    pub port: u16,
    /// Seed of the shots; the same circuits in the same order give the same counts
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Chip to stand in for, with its couplings: baihua, or a JSON file; named Baihua
    #[arg(long, default_value = "baihua")]
    pub target: String,
    /// Milliseconds that each task runs, besides its simulation
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub delay: u64,
    /// Tasks of others that are in the queue at the start
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub queue: usize,
    /// The chip takes no tasks
    #[arg(long)]
    pub offline: bool,
    /// Shots without any other noise
    #[arg(long)]
    pub noiseless: bool,
    #[command(flatten)]
    pub noise: Figures,
    /// A fault, once, or *TIMES, or *always
    #[arg(long, value_name = "WHERE=WHAT[*TIMES]")]
    pub fault: Vec<Fault>,
    /// Say each request on standard error
    #[arg(short, long)]
    pub verbose: bool,
    /// Print the address as JSON
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: &ServeArgs) -> Result<()> {
    args.noise.check()?;
    let text = std::fs::read_to_string(&args.target).ok();
    let info = text.map(|t| serde_json::from_str::<Value>(&t)).transpose();
    let info = info.with_context(|| args.target.clone())?;
    let info = info.filter(|info| info.get("couplers_info").is_some());
    let status = if args.offline { "Offline" } else { "Online" };
    let device = Processor { name: "Baihua".into(), ..processor(&args.target)? };
    let chip = Chip { device, info, status: status.into() };
    let mut state = State { chips: vec![chip], faults: args.fault.clone(), ..State::default() };
    for _ in 0..args.queue {
        state.add(Task { foreign: true, ..Task::default() });
    }
    let noise = (!args.noiseless).then_some(args.noise);
    let cloud = Cloud::start(state, noise, Duration::from_millis(args.delay), args.seed);
    serve(&cloud, args.port, args.verbose, |address| {
        let url = format!("http://{address}");
        // Whoever started it reads the address here; standard output may be a pipe that is closed.
        let line =
            if args.json { json!({"url": url}).to_string() } else { format!("serving at {url}") };
        let _ = say(line);
    })
}
