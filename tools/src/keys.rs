//! Key files for model signatures: an Ed25519 seed and its public key, each as hex in a text file.

use ed25519_compact::{KeyPair, PublicKey, Seed};
use qdllm_host::hex;
use qdllm_host::secret::{NotPrivate, read_private};
use qdllm_runtime::format::signature::{CONTEXT, ModelSignature, with_signature};
use qdllm_runtime::{Error, Model};
use rand::TryRngCore as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const SECRET: &str = "qdllm signing key, secret (Ed25519)";
const PUBLIC: &str = "qdllm signing key, public (Ed25519)";

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    #[error("{file}: {what}")]
    File { file: String, what: &'static str, source: io::Error },
    #[error("{0}: is there already; a key that is overwritten is lost, so give another name")]
    Exists(String),
    #[error("{file}: holds no {kind} key; qdllm-hw keygen makes a pair")]
    NoKey { file: String, kind: &'static str },
    #[error("{0}: others may read this secret key; first: chmod 600 {0}")]
    Open(String),
    #[error("the system gives no random numbers: {0}")]
    NoRandom(String),
    #[error("{file}: {source}")]
    Model { file: String, source: Error },
    #[error("{0}: the signature does not hold: the file was changed after it was signed")]
    Wrong(String),
    #[error("{0}: the model is not signed")]
    Unsigned(String),
}

/// Makes a key pair: `path` with the secret, readable by its owner only, and `path.pub` beside it.
pub fn generate(path: &Path) -> Result<(PathBuf, [u8; 32]), KeyError> {
    let mut seed = Zeroizing::new([0; 32]);
    rand::rngs::OsRng
        .try_fill_bytes(&mut *seed)
        .map_err(|error| KeyError::NoRandom(error.to_string()))?;
    let pair = KeyPair::from_seed(Seed::new(*seed));
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    let public = PathBuf::from(name);
    if public.exists() {
        return Err(KeyError::Exists(public.display().to_string()));
    }
    let text = Zeroizing::new(format!("{SECRET}\n{}\n", hex::encode(*seed)));
    write_new(path, text.as_bytes(), true)?;
    write_new(&public, format!("{PUBLIC}\n{}\n", hex::encode(*pair.pk)).as_bytes(), false)?;
    Ok((public, *pair.pk))
}

fn write_new(path: &Path, bytes: &[u8], secret: bool) -> Result<(), KeyError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if secret {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    #[cfg(not(unix))]
    let _ = secret;
    let file = path.display().to_string();
    let mut opened = options.open(path).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => KeyError::Exists(file.clone()),
        _ => KeyError::File { file: file.clone(), what: "cannot be written", source },
    })?;
    let written = opened.write_all(bytes).and_then(|()| opened.sync_all());
    written.map_err(|source| KeyError::File { file, what: "cannot be written", source })
}

pub fn read_secret(path: &Path) -> Result<KeyPair, KeyError> {
    let file = path.display().to_string();
    let text = read_private(path).map_err(|e| match e {
        NotPrivate::Io(source) => {
            KeyError::File { file: file.clone(), what: "cannot be read", source }
        }
        NotPrivate::Exposed(_) => KeyError::Open(file.clone()),
        NotPrivate::TooLong => KeyError::NoKey { file: file.clone(), kind: "secret" },
    })?;
    let seed = parse(&text, SECRET).map(Zeroizing::new);
    let seed = seed.ok_or_else(|| KeyError::NoKey { file: file.clone(), kind: "secret" })?;
    Ok(KeyPair::from_seed(Seed::new(*seed)))
}

pub fn read_public(path: &Path) -> Result<[u8; 32], KeyError> {
    let file = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|source| KeyError::File {
        file: file.clone(),
        what: "cannot be read",
        source,
    })?;
    parse(&text, PUBLIC).ok_or(KeyError::NoKey { file, kind: "public" })
}

/// Signs a model file; one that is signed already is signed anew.
pub fn sign(
    name: &Path,
    file: &[u8],
    pair: &KeyPair,
    version: u32,
    minimum: u32,
) -> Result<Vec<u8>, KeyError> {
    let failed = |source| KeyError::Model { file: name.display().to_string(), source };
    Model::parse(file).map_err(failed)?;
    let mut short = [0; 8];
    short.copy_from_slice(&pair.pk[..8]);
    let sign = |message: &[u8]| *pair.sk.sign(message, None);
    let signed = with_signature(file, version, minimum, short, sign).map_err(failed)?;
    // What is given out has been read again and checked.
    verify(name, &signed, &pair.pk)?;
    Ok(signed)
}

pub fn verify(name: &Path, file: &[u8], public: &[u8; 32]) -> Result<(u32, u32), KeyError> {
    let shown = || name.display().to_string();
    let failed = |source| KeyError::Model { file: shown(), source };
    let model = Model::parse(file).map_err(failed)?;
    let signed = ModelSignature::of(model.container()).map_err(failed)?;
    let signed = signed.ok_or_else(|| KeyError::Unsigned(shown()))?;
    let signature = ed25519_compact::Signature::new(*signed.signature);
    let message = [&CONTEXT[..], signed.covered].concat();
    let held = PublicKey::new(*public).verify(message, &signature);
    held.map_err(|_| KeyError::Wrong(shown()))?;
    Ok((signed.version, signed.minimum))
}

/// The key of a file that begins with `first`.
fn parse(text: &str, first: &str) -> Option<[u8; 32]> {
    let mut lines = text.lines();
    if lines.next()?.trim() != first {
        return None;
    }
    hex::decode(lines.next()?.trim())
}
