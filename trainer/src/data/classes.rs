//! A file that names the classes: what a teacher is asked when there are no labels.
//!
//! ```toml
//! question = "What does the speaker want?"     # optional
//!
//! [[class]]
//! name = "lights_on"                            # the label in every file
//! description = "the lights shall go on"        # optional, shown to a chat model
//! words = ["turn the lights on", "lights on"]   # optional, what the model may say [the name, _ as space]
//! ```

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Result, bail, ensure};
use qdllm_host::errors::{OfFile as _, wrong_use};
use qdllm_host::files;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classes {
    /// What a model is asked about a text.
    #[serde(default)]
    pub question: Option<String>,
    /// The classes, in the order of the logits.
    pub class: Vec<Class>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    pub name: String,
    /// What belongs to it, for the model.
    #[serde(default)]
    pub description: Option<String>,
    /// What the model may call it; without any, the name with spaces for underscores.
    #[serde(default)]
    pub words: Vec<String>,
}

/// The bytes of a class name that a model holds.
const LONGEST: usize = 255;

/// Refuses names that no model may have: empty, too long, with control characters, given twice.
pub fn check_names(names: &[String]) -> Result<()> {
    let mut seen = HashSet::new();
    for name in names {
        let (start, bytes): (String, _) = (name.chars().take(40).collect(), name.len());
        ensure!(!name.trim().is_empty(), "a class has an empty name; give each class one");
        ensure!(
            bytes <= LONGEST,
            "the class name `{start}...` has {bytes} bytes; a model holds names of {LONGEST}: shorten it, or is this the text's column?"
        );
        ensure!(
            !name.contains(char::is_control),
            "the class name `{start}` holds a control character; take it out"
        );
        ensure!(seen.insert(name), "class `{start}` is named twice");
    }
    Ok(())
}

impl Class {
    /// What the model may call the class; never empty.
    pub fn words(&self) -> Vec<String> {
        if self.words.is_empty() { vec![self.name.replace('_', " ")] } else { self.words.clone() }
    }
}

impl Classes {
    /// Classes of these names, with one entry of phrases each, `|` between them, if `words` is not empty.
    pub fn named(names: &[String], words: &[String]) -> Result<Self> {
        if !words.is_empty() && words.len() != names.len() {
            return Err(wrong_use(format_args!(
                "--class-words has {} phrases for {} classes ({})",
                words.len(),
                names.len(),
                names.join(", ")
            )));
        }
        let class = |(i, name): (usize, &String)| {
            let given = words.get(i).into_iter().flat_map(|phrases| phrases.split('|'));
            let words = given.map(|phrase| phrase.trim().to_owned()).collect();
            Class { name: name.clone(), description: None, words }
        };
        let class = names.iter().enumerate().map(class).collect();
        let classes = Self { question: None, class };
        classes.check()?;
        Ok(classes)
    }

    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = files::read_text(path)?;
        let parsed = || {
            let classes: Self = toml::from_str(&text)?;
            classes.check()?;
            anyhow::Ok(classes)
        };
        parsed().of_file(path)
    }

    pub fn names(&self) -> Vec<String> {
        self.class.iter().map(|c| c.name.clone()).collect()
    }

    /// Two classes at least, all names and words given and different.
    fn check(&self) -> Result<()> {
        let (count, most) = (self.class.len(), qdllm_runtime::MAX_CLASSES);
        ensure!(count >= 2, "{count} classes; a teacher needs at least 2, each named");
        ensure!(count <= most, "{count} classes; a model has at most {most}");
        check_names(&self.names())?;
        let mut seen: Vec<(String, &str)> = Vec::new();
        for (i, class) in self.class.iter().enumerate() {
            let name = &class.name;
            ensure!(
                name.trim() == name && !name.is_empty(),
                "class {}: the name `{name}` is empty or has white space around it",
                i + 1
            );
            for word in class.words() {
                let folded = word.trim().to_lowercase();
                ensure!(!folded.is_empty(), "class `{name}` has an empty entry in `words`");
                if let Some((_, other)) = seen.iter().find(|(w, _)| *w == folded) {
                    bail!(
                        "classes `{other}` and `{name}` share the words `{word}`; give each its own"
                    );
                }
                seen.push((folded, name));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_and_bad_ones_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("classes.toml");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            Classes::read(&path).map_err(|e| format!("{e:#}"))
        };
        let good = read(
            "question = \"What?\"\n[[class]]\nname = \"turn_on\"\n[[class]]\nname = \"off\"\nwords = [\"dark\", \"out\"]\ndescription = \"no light\"\n",
        )
        .unwrap();
        assert_eq!(good.names(), ["turn_on", "off"]);
        assert_eq!(good.class[0].words(), ["turn on"]);
        assert_eq!(good.class[1].words(), ["dark", "out"]);
        for (text, says) in [
            ("[[class]]\nname = \"a\"\n", "at least 2"),
            ("[[class]]\nname = \"a\"\n[[class]]\nname = \"a\"\n", "`a` is named twice"),
            ("[[class]]\nname = \" \"\n[[class]]\nname = \"a\"\n", "empty name"),
            ("[[class]]\nname = \" b\"\n[[class]]\nname = \"a\"\n", "class 1"),
            ("[[class]]\nname = \"a\"\nwords = [\"B\"]\n[[class]]\nname = \"b\"\n", "share"),
            ("[[class]]\nname = \"a\"\nword = [\"B\"]\n", "word"),
            ("class = 3", "class"),
        ] {
            let message = read(text).unwrap_err();
            assert!(message.contains(says) && message.contains("classes.toml"), "{message}");
        }
    }
}
