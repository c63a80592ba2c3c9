//! Where the token comes from: a file, the environment, or the system's keyring. Never the command line.

use super::Kind;
use anyhow::{Context as _, Error, Result, anyhow, ensure};
use clap::ValueEnum as _;
use qdllm_host::secret::{NotASecret, Secret, read_private};
use std::path::Path;
use zeroize::Zeroizing;

/// The name under which the keyring keeps tokens; the account is the platform's name.
const SERVICE: &str = "qdllm-hw";

/// Shown in a text where the token stood.
pub const MASK: &str = "[token]";

/// The token for a platform: `file` if given, else the environment, else the keyring.
/// No error repeats a token or the file's name, which may be a token given by mistake.
pub fn find(platform: Kind, file: Option<&Path>) -> Result<Secret> {
    if let Some(path) = file {
        return from_file(path);
    }
    let variable = platform.variable();
    match std::env::var(variable) {
        Ok(text) if !text.trim().is_empty() => return of(text, variable),
        Err(std::env::VarError::NotUnicode(_)) => {
            return Err(malformed(variable, NotASecret::Characters));
        }
        _ => {}
    }
    // A machine without a keyring is a machine without a stored token.
    let stored = entry(platform).and_then(|e| e.get_password());
    let stored = stored.ok().with_context(|| {
        format!(
            "no token: set {variable}, or give --token-file FILE, or store one with `qdllm-hw token`"
        )
    });
    of(stored?, "the keyring")
}

/// A token from a text; `place` names its source in errors.
fn of(text: String, place: &str) -> Result<Secret> {
    Secret::new(text, MASK).map_err(|why| malformed(place, why))
}

fn malformed(place: &str, why: NotASecret) -> Error {
    anyhow!("the token from {place} {why}")
}

fn from_file(path: &Path) -> Result<Secret> {
    let place = "--token-file";
    let text = read_private(path).map_err(|e| anyhow!("the file of {place} {e:#}"))?;
    of(text.to_string(), place)
}

pub fn store(platform: Kind, token: &Secret) -> Result<()> {
    entry(platform).and_then(|e| e.set_password(token.expose())).map_err(keyring_failed)
}

/// Removes a stored token; whether there was one.
pub fn forget(platform: Kind) -> Result<bool> {
    match entry(platform).and_then(|e| e.delete_credential()) {
        Ok(()) => Ok(true),
        Err(keyring::Error::NoEntry) => Ok(false),
        Err(e) => Err(keyring_failed(e)),
    }
}

fn entry(platform: Kind) -> keyring::Result<keyring::Entry> {
    keyring::Entry::new(SERVICE, platform.name())
}

/// The variants that carry what was stored are not shown.
fn keyring_failed(error: keyring::Error) -> Error {
    let why = match error {
        keyring::Error::BadEncoding(_) => "what is stored is not text".into(),
        keyring::Error::PlatformFailure(e) | keyring::Error::NoStorageAccess(e) => e.to_string(),
        _ => "it is closed to this login; use --token-file".into(),
    };
    anyhow!("the system's keyring: {why}")
}

/// Options that other programs take a token by; refused before the command line is parsed, because
/// the parser's own message would repeat what follows.
const REFUSED: [&str; 7] =
    ["--token", "--api-token", "--api_token", "--apitoken", "--api-key", "--api_key", "--apikey"];

/// Refuses a command line on which a token stands: by such an option, or because an argument contains
/// the value of one of the token variables.
pub fn refuse_on_command_line(
    arguments: impl IntoIterator<Item = std::ffi::OsString>,
) -> Result<()> {
    let known: Vec<Zeroizing<String>> = Kind::value_variants()
        .iter()
        .filter_map(|k| std::env::var(k.variable()).ok())
        .map(|t| Zeroizing::new(t.trim().to_string()))
        // Shorter ones would match common words.
        .filter(|t| t.len() >= 12)
        .collect();
    let shown = |text: &str| {
        let option = text.split('=').next().unwrap_or(text);
        REFUSED.contains(&option) || known.iter().any(|t| text.contains(t.as_str()))
    };
    ensure!(
        !arguments.into_iter().any(|a| a.to_str().is_some_and(shown)),
        "a token must not stand on the command line, where other users and the shell's history see it; \
         use {}, --token-file or `qdllm-hw token`, and replace that token",
        Kind::Sqc.variable()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_for_a_token_is_refused_without_repeating_it() {
        for line in [&["submit", "--token", "s3cret"][..], &["submit", "--api-key=s3cret"]] {
            let error = refuse_on_command_line(line.iter().map(Into::into)).unwrap_err();
            assert!(!error.to_string().contains("s3cret"));
        }
        let fine = ["submit", "--token-file", "x", "token"];
        assert!(refuse_on_command_line(fine.iter().map(Into::into)).is_ok());
    }

    #[test]
    #[cfg(unix)]
    fn a_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "s3cret\n").unwrap();
        for mode in [0o644, 0o640, 0o604, 0o620] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let error = from_file(&path).err().unwrap().to_string();
            assert!(error.contains("chmod 600") && !error.contains("s3cret"), "{error}");
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(from_file(&path).ok().unwrap().expose(), "s3cret");
        // The name itself may be a token, given where a file was asked for.
        let error = from_file(Path::new("qf_s3cret")).err().unwrap();
        assert!(!error.to_string().contains("s3cret"));
    }
}
