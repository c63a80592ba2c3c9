//! The real server: llama-cpp-python's, on a loopback port, ended with this program.

use super::http::ask;
use crate::qemu::free_port;
use crate::shell::{Run, say};
use anyhow::{Context, Result, bail, ensure};
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// What is installed where no Python is given; the server builds llama.cpp from its source.
const PACKAGES: [&str; 2] = ["llama-cpp-python[server]==0.3.36", "numpy==2.4.6"];
/// What that build needs, all as wheels.
const TOOLS: [&str; 3] = ["cmake==4.4.4", "ninja==1.13.2", "scikit-build-core==1.1.2"];
/// What of llama.cpp is left out of the build.
const WITHOUT: &str = "-DLLAVA_BUILD=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF \
                       -DLLAMA_BUILD_TOOLS=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_CURL=OFF";
/// The model's name at the server.
pub const MODEL: &str = "local-gguf";
/// Tokens of prompt and answer together.
const CONTEXT: u32 = 1024;
/// Patience until the model is loaded.
const LOADED: Duration = Duration::from_secs(180);

/// A Python with the server, made once in `folder`.
///
/// # Errors
/// When there is no Python, or the packages cannot be had or built; says what to do.
pub fn python(folder: &Path) -> Result<PathBuf> {
    let venv = folder.join("python-1");
    let (python, done) = (venv.join("bin/python"), venv.join("done"));
    if done.is_file() {
        return Ok(python);
    }
    let remedy = "give a Python that has llama-cpp-python[server] by --python";
    Run::new("python3").args(["-m", "venv"]).arg(&venv).quiet().context(remedy)?;
    let bin = std::env::join_paths(
        std::iter::once(venv.join("bin"))
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    )?;
    let pip = || {
        let quiet = ["-m", "pip", "install", "-q", "--disable-pip-version-check"];
        Run::new(&python).args(quiet).env("PATH", &bin).env("CMAKE_ARGS", WITHOUT)
    };
    say(super::TOPIC, "building llama-cpp-python's server (10 to 30 minutes on two cores)");
    pip().args(TOOLS).quiet().context(remedy)?;
    pip().arg("--no-build-isolation").args(PACKAGES).quiet().context(remedy)?;
    std::fs::write(done, "")?;
    Ok(python)
}

/// Versions of the server and of Python, in words.
///
/// # Errors
/// When the Python lacks the server.
pub fn version(python: &Path) -> Result<String> {
    let code = "import platform, llama_cpp, llama_cpp.server.app; \
                print('llama-cpp-python', llama_cpp.__version__, 'on Python', platform.python_version())";
    let said = Run::new(python).args(["-c", code]).read();
    let said = said.with_context(|| {
        format!("{} cannot run the server; install llama-cpp-python[server]", python.display())
    })?;
    Ok(said.lines().last().unwrap_or_default().to_owned())
}

/// A running server.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    child: Child,
}

impl Server {
    /// Starts the server and waits until it answers. With `opening` it puts the model's opening token before
    /// prompts of completions, whatever the model file says.
    ///
    /// # Errors
    /// When it ends or does not answer; its log is in `folder`.
    pub fn start(python: &Path, model: &Path, opening: bool, folder: &Path) -> Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let log = folder.join("server.log");
        let mut run = Run::new(python)
            .args(["-m", "llama_cpp.server", "--host", "127.0.0.1", "--model_alias", MODEL])
            .args(["--port", &address.port().to_string(), "--n_ctx", &CONTEXT.to_string()])
            // Log-probabilities are given for nothing less.
            .args(["--logits_all", "true", "--verbose", "false", "--n_threads", "2", "--model"])
            .arg(model);
        if opening {
            run = run.args(["--kv_overrides", "tokenizer.ggml.add_bos_token=bool:true"]);
        }
        let child = run
            .into_command()
            .stdin(Stdio::null())
            .stdout(File::create(&log)?)
            .stderr(File::options().append(true).open(&log)?)
            .spawn()?;
        let mut server = Self { address, child };
        let born = Instant::now();
        while !ask(address, "/v1/models", b"").is_ok_and(|answer| answer.status() == 200) {
            if let Some(status) = server.child.try_wait()? {
                bail!("the server ended ({status}); see {}", log.display());
            }
            ensure!(born.elapsed() < LOADED, "the server does not answer; see {}", log.display());
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
