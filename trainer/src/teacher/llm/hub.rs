//! Models fetched from a hub of Hugging Face's kind into its usual cache: `hf:owner/name`, a revision and a file besides.

use crate::teacher::endpoint::{key_from_file, key_from_variable};
use crate::teacher::llm::weights::shard_of_each_tensor;
use anyhow::{Result, anyhow, bail};
use hf_hub::api::sync::{ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache, Repo, RepoType};
use qdllm_host::http::{self, Url};
use qdllm_host::secret::Secret;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What a model on the hub is called on the command line.
const SCHEME: &str = "hf:";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub repository: String,
    pub revision: String,
    /// A GGUF file of the repository; without one its safetensors are taken.
    pub file: Option<String>,
}

impl Address {
    /// Reads an address; `None` when the text does not begin with `hf:`.
    pub fn parse(text: &str) -> Option<Result<Self>> {
        let rest = text.strip_prefix(SCHEME)?;
        let (rest, file) = match rest.split_once(':') {
            Some((rest, file)) => (rest, Some(file.to_owned())),
            None => (rest, None),
        };
        let (repository, revision) = rest.split_once('@').unwrap_or((rest, "main"));
        let part = |s: &str| {
            !s.is_empty()
                && !s.starts_with('.')
                && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        let named = repository.split_once('/').is_some_and(|(a, b)| part(a) && part(b));
        let gguf = |f: &String| part(f) && f.to_ascii_lowercase().ends_with(".gguf");
        if !named || !revision.split('/').all(part) || !file.as_ref().is_none_or(gguf) {
            return Some(Err(anyhow!(
                "{text}: is no address on the hub; write hf:owner/name, hf:owner/name@revision or hf:owner/name:file.gguf"
            )));
        }
        let (repository, revision) = (repository.to_owned(), revision.to_owned());
        Some(Ok(Self { repository, revision, file }))
    }
}

/// The path of a model on the hub; the token is that of the file, or of the variable that other programs read.
pub fn fetch(address: &str, token_file: Option<&Path>) -> Result<PathBuf> {
    let Some(address) = Address::parse(address) else { return Ok(address.into()) };
    let token = match token_file {
        Some(path) => Some(key_from_file(path)?),
        None => key_from_variable("HF_TOKEN")?,
    };
    Hub { endpoint: None, cache: None, token }.fetch(&address?)
}

pub struct Hub {
    /// Address of the hub; `None` for the variable `HF_ENDPOINT` or the public one.
    pub endpoint: Option<String>,
    /// Folder for what is fetched; `None` for the variable `HF_HOME` or the usual place.
    pub cache: Option<PathBuf>,
    pub token: Option<Secret>,
}

impl Hub {
    /// Fetches what is not in the cache; gives the folder, or the GGUF file.
    pub fn fetch(&self, address: &Address) -> Result<PathBuf> {
        let name = format!("{SCHEME}{}", address.repository);
        let refuse = |what: String| {
            let token = self.token.as_ref();
            anyhow!("{name}: {}", token.map_or_else(|| what.clone(), |token| token.redact(&what)))
        };
        let bad = |file: &str, e: ApiError| {
            let said = e.to_string();
            let refused = ["401", "403"].iter().any(|code| said.contains(code));
            let remedy = match refused {
                true => "accept the model's terms and give a token by HF_TOKEN or --hub-token-file",
                false => "fetch the folder by other means and give its path",
            };
            refuse(format!("{file}: {said}; {remedy}"))
        };
        let cache = self.cache.clone().map_or_else(Cache::from_env, Cache::new);
        let mut builder = ApiBuilder::from_cache(cache);
        let endpoint = self.endpoint.clone().or_else(|| std::env::var("HF_ENDPOINT").ok());
        if let Some(endpoint) = endpoint {
            if self.token.is_some() && !guarded(&endpoint) {
                return Err(refuse(format!(
                    "the token would go over plain http to {endpoint}; use https"
                )));
            }
            builder = builder.with_endpoint(endpoint);
        }
        if let Some(token) = &self.token {
            builder = builder.with_token(Some(token.expose().to_owned()));
        }
        let api = builder.build().map_err(|e| bad("hub", e))?;
        let (id, revision) = (address.repository.clone(), address.revision.clone());
        let repo = api.repo(Repo::with_revision(id, RepoType::Model, revision));
        let get = |file: &str| repo.get(file).map_err(|e| bad(file, e));
        if let Some(file) = &address.file {
            return get(file);
        }
        let config = get("config.json")?;
        get("tokenizer.json")?;
        for shard in shards(&repo, &get)? {
            get(&shard)?;
        }
        Ok(config.parent().map_or_else(PathBuf::new, PathBuf::from))
    }
}

/// The safetensors files: the one, or those of the index.
fn shards(repo: &ApiRepo, get: &impl Fn(&str) -> Result<PathBuf>) -> Result<BTreeSet<String>> {
    if repo.get("model.safetensors").is_ok() {
        return Ok(BTreeSet::new());
    }
    let index = get("model.safetensors.index.json")?;
    let files: BTreeSet<String> = shard_of_each_tensor(&index)?.into_values().collect();
    match files.iter().find(|file| file.contains(['/', '\\']) || file.starts_with('.')) {
        Some(file) => {
            bail!("{}: names the shard {file}, which is no plain file name", index.display())
        }
        None => Ok(files),
    }
}

/// True for https, and for this machine.
fn guarded(endpoint: &str) -> bool {
    Url::parse(endpoint).is_ok_and(|url| url.scheme() == "https" || http::is_local(&url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_odd_ones_refused() {
        let read = |text: &str| Address::parse(text).map(|a| a.map_err(|e| e.to_string()));
        assert_eq!(read("models/llama"), None);
        let plain = read("hf:owner/name").unwrap().unwrap();
        assert_eq!((plain.repository.as_str(), plain.revision.as_str()), ("owner/name", "main"));
        let full = read("hf:owner/name@v1:tiny.Q4.gguf").unwrap().unwrap();
        assert_eq!((full.revision.as_str(), full.file.as_deref()), ("v1", Some("tiny.Q4.gguf")));
        for odd in
            ["hf:name", "hf:a/b/c", "hf:../etc", "hf:a/b:c.bin", "hf:a/b@../x", "hf:a/b:../c.gguf"]
        {
            assert!(read(odd).unwrap().unwrap_err().contains("owner/name"), "{odd}");
        }
    }

    #[test]
    fn a_token_goes_nowhere_in_the_open() {
        assert!(guarded("https://hub.example") && guarded("http://127.0.0.1:80"));
        assert!(!guarded("http://hub.example") && !guarded("http://127.0.0.1.example:80"));
        let hub = Hub {
            endpoint: Some("http://hub.example".into()),
            cache: None,
            token: crate::teacher::endpoint::key("hf-abc".into(), "test").ok(),
        };
        let address = Address::parse("hf:a/b").unwrap().unwrap();
        let message = hub.fetch(&address).unwrap_err().to_string();
        assert!(message.contains("https") && !message.contains("hf-abc"), "{message}");
    }
}
