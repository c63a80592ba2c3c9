//! Key files for model signatures: an Ed25519 seed and its public key, each as hex in a text file.

use anyhow::{Context as _, Error, Result, anyhow, ensure};
use ed25519_compact::{KeyPair, PublicKey, Seed, Signature};
use qdllm_host::errors::OfFile as _;
use qdllm_host::files::read_text;
use qdllm_host::hex;
use qdllm_host::secret::read_private;
use qdllm_runtime::Model;
use qdllm_runtime::format::signature::{CONTEXT, ModelSignature, with_signature};
use rand::TryRngCore as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const SECRET: &str = "qdllm signing key, secret (Ed25519)";
const PUBLIC: &str = "qdllm signing key, public (Ed25519)";

/// Makes a key pair: `path` with the secret, readable by its owner only, and `path.pub` beside it.
pub fn generate(path: &Path) -> Result<(PathBuf, [u8; 32])> {
    let mut seed = Zeroizing::new([0; 32]);
    let filled = rand::rngs::OsRng.try_fill_bytes(&mut *seed);
    filled.map_err(|error| anyhow!("the system gives no random numbers: {error}"))?;
    let pair = KeyPair::from_seed(Seed::new(*seed));
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    let public = PathBuf::from(name);
    if public.exists() {
        return Err(exists(&public));
    }
    let text = Zeroizing::new(format!("{SECRET}\n{}\n", hex::encode(*seed)));
    write_new(path, text.as_bytes(), true)?;
    write_new(&public, format!("{PUBLIC}\n{}\n", hex::encode(*pair.pk)).as_bytes(), false)?;
    Ok((public, *pair.pk))
}

fn exists(path: &Path) -> Error {
    let file = path.display();
    anyhow!("{file}: is there already; a key that is overwritten is lost, so give another name")
}

fn no_key(path: &Path, kind: &str) -> Error {
    anyhow!("{}: holds no {kind} key; qdllm-hw keygen makes a pair", path.display())
}

fn write_new(path: &Path, bytes: &[u8], secret: bool) -> Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if secret {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    #[cfg(not(unix))]
    let _ = secret;
    let unwritten = || format!("{}: cannot be written", path.display());
    let mut opened = options.open(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists(path),
        _ => Error::from(error).context(unwritten()),
    })?;
    opened.write_all(bytes).and_then(|()| opened.sync_all()).with_context(unwritten)
}

pub fn read_secret(path: &Path) -> Result<KeyPair> {
    let text = read_private(path).of_file(path)?;
    let seed = parse(&text, SECRET).map(Zeroizing::new);
    Ok(KeyPair::from_seed(Seed::new(*seed.ok_or_else(|| no_key(path, "secret"))?)))
}

pub fn read_public(path: &Path) -> Result<[u8; 32]> {
    parse(&read_text(path)?, PUBLIC).ok_or_else(|| no_key(path, "public"))
}

/// Signs a model file; one that is signed already is signed anew.
pub fn sign(
    name: &Path,
    file: &[u8],
    pair: &KeyPair,
    version: u32,
    minimum: u32,
) -> Result<Vec<u8>> {
    Model::parse(file).of_file(name)?;
    let mut short = [0; 8];
    short.copy_from_slice(&pair.pk[..8]);
    let sign = |message: &[u8]| *pair.sk.sign(message, None);
    let signed = with_signature(file, version, minimum, short, sign).of_file(name)?;
    // What is given out has been read again and checked.
    verify(name, &signed, &pair.pk)?;
    Ok(signed)
}

pub fn verify(name: &Path, file: &[u8], public: &[u8; 32]) -> Result<(u32, u32)> {
    let shown = name.display();
    let model = Model::parse(file).of_file(name)?;
    let signed = ModelSignature::of(model.container()).of_file(name)?;
    let signed = signed.with_context(|| format!("{shown}: the model is not signed"))?;
    let holds = |message: &[u8], signature: &[u8; 64]| {
        PublicKey::new(*public).verify(message, &Signature::new(*signature)).is_ok()
    };
    let announcement = signed.announcement(model.container()).of_file(name)?;
    ensure!(
        holds(&[&CONTEXT[..], signed.covered].concat(), signed.signature)
            && announcement.is_none_or(|said| holds(&said.message(), said.signature)),
        "{shown}: the signature does not hold: the file was changed after it was signed"
    );
    Ok((signed.version, signed.minimum))
}

fn parse(text: &str, first: &str) -> Option<[u8; 32]> {
    let mut lines = text.lines();
    if lines.next()?.trim() != first {
        return None;
    }
    hex::decode(lines.next()?.trim())
}
