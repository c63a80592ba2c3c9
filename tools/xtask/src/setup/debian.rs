//! Debian's archive through apt, with package lists of our own: the system's sources stay as they
//! are, and other suites than the installed one can be read from the same mirrors.

use super::cache::{TOPIC, cache, fresh};
use super::targets;
use crate::repo::Repo;
use crate::shell::{Run, retry, say, which};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

/// Where the source of a stable Rust release turns up, cheapest package lists first.
const SOURCE_SUITES: [&[&str]; 3] = [
    &["bookworm-security", "trixie-backports"],
    &["trixie-security", "forky", "sid"],
    &["experimental"],
];

/// Debian's name for the suite of this machine, such as `bookworm`.
pub fn codename() -> Result<String> {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.map(|value| value.trim_matches('"').to_owned())
    };
    if value("ID").as_deref() != Some("debian") || which("apt-get").is_none() {
        bail!("this is not Debian; only Debian's archive carries Rust's library source");
    }
    value("VERSION_CODENAME").context("/etc/os-release names no VERSION_CODENAME")
}

/// Package lists of some suites, apart from the system's own.
pub struct Archive {
    options: Vec<String>,
}

impl Archive {
    /// Reads the package lists of `suites` into a folder of ours.
    pub fn open(suites: &[&str]) -> Result<Self> {
        let dir = cache()?.join(format!("apt-{}", suites[0]));
        for sub in ["lists/partial", "cache/archives/partial", "none"] {
            fs::create_dir_all(dir.join(sub))?;
        }
        let mut sources = String::new();
        for suite in suites {
            let key = "/usr/share/keyrings/debian-archive-keyring.gpg";
            sources += &format!("deb [signed-by={key}] {} {suite} main\n", mirror(suite)?);
        }
        fs::write(dir.join("sources.list"), sources)?;
        let at = |sub: &str| dir.join(sub).display().to_string();
        let options = [
            format!("Dir::Etc::sourcelist={}", at("sources.list")),
            format!("Dir::Etc::sourceparts={}", at("none")),
            format!("Dir::State::lists={}", at("lists")),
            format!("Dir::Cache={}", at("cache")),
            // The unprivileged apt user cannot read a folder below /root.
            "APT::Sandbox::User=root".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Acquire::Retries=3".to_owned(),
            "Acquire::http::Timeout=60".to_owned(),
        ];
        let options = options.into_iter().flat_map(|option| ["-o".to_owned(), option]).collect();
        let archive = Self { options };
        say(TOPIC, format!("reading Debian's package lists: {}", suites.join(", ")));
        retry(3, TOPIC, || archive.apply(Run::new("apt-get")).args(["-q", "update"]).quiet())?;
        Ok(archive)
    }

    pub fn apply(&self, run: Run) -> Run {
        run.args(&self.options)
    }

    pub fn versions(&self, package: &str) -> Vec<String> {
        let text =
            self.apply(Run::new("apt-cache")).args(["madison", package]).read().unwrap_or_default();
        let mut versions = Vec::new();
        for line in text.lines() {
            if let Some(version) = line.split('|').nth(1).map(|field| field.trim().to_owned())
                && !versions.contains(&version)
            {
                versions.push(version);
            }
        }
        versions
    }

    /// What the package's record says in `apt-cache show`.
    pub fn record(&self, package: &str, version: &str) -> Result<String> {
        self.apply(Run::new("apt-cache")).arg("show").arg(format!("{package}={version}")).read()
    }

    /// Downloads one package into `dir`, an empty folder, and returns the file.
    pub fn download(&self, package: &str, version: &str, dir: &Path) -> Result<PathBuf> {
        fs::create_dir_all(dir)?;
        let what = format!("{package}={version}");
        retry(3, TOPIC, || {
            self.apply(Run::new("apt-get")).args(["-q", "download", &what]).dir(dir).quiet()
        })?;
        let prefix = format!("{package}_");
        let found = fs::read_dir(dir)?.flatten().map(|entry| entry.path()).find(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix))
        });
        found.with_context(|| format!("apt-get download {what} left no file"))
    }
}

/// The address that this system's apt uses for `suite`, or for the sibling it has of it: security
/// suites have a place of their own, all others share one.
fn mirror(suite: &str) -> Result<String> {
    let security = suite.ends_with("-security");
    let installed = codename()? + if security { "-security" } else { "" };
    let text = Run::new("apt-get")
        .args(["indextargets", "--format", "$(RELEASE) $(REPO_URI)", "Created-By: Packages"])
        .read()?;
    let found = text.lines().find_map(|line| line.strip_prefix(&installed)?.strip_prefix(' '));
    Ok(found.with_context(|| format!("apt has no source for {installed}"))?.to_owned())
}

/// Builds the missing targets from the library source that belongs to the installed compiler.
pub fn from_source(repo: &Repo, missing: &[String]) -> Result<()> {
    codename()?;
    let release = targets::field(repo, "release")?;
    let (archive, package, version) = find_source(&release)?;
    say(TOPIC, format!("library source: {package} {version}"));
    let work = fresh("source")?;
    let file = archive.download(package, &version, &work)?;

    // Only the standard library is wanted: the package holds the compiler's source as well.
    let tree = work.join("library");
    fs::create_dir_all(&tree)?;
    let script = "dpkg-deb --fsys-tarfile \"$1\" | tar -x -C \"$2\" --strip-components=5 --wildcards './usr/src/rustc-*/library'";
    Run::new("sh").args(["-c", script, "sh"]).arg(&file).arg(&tree).quiet()?;
    targets::build(repo, &tree, missing)?;
    fs::remove_dir_all(&work)?;
    Ok(())
}

fn find_source(release: &str) -> Result<(Archive, &'static str, String)> {
    for suites in SOURCE_SUITES {
        let archive = match Archive::open(suites) {
            Ok(archive) => archive,
            Err(error) => {
                say(TOPIC, format!("{error:#}"));
                continue;
            }
        };
        for package in ["rust-src", "rust-web-src"] {
            let matching = |version: &String| {
                version.strip_prefix(release).is_some_and(|rest| rest.starts_with(['+', '~', '-']))
            };
            if let Some(version) = archive.versions(package).into_iter().find(matching) {
                return Ok((archive, package, version));
            }
        }
    }
    bail!("no Debian package has the library source of Rust {release}")
}
