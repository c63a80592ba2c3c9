//! What a mistake in each class weighs in training: so that a class of few texts is learnt, too.

use anyhow::{Context as _, Result, ensure};
use qdllm_host::errors::OfFile as _;
use qdllm_host::files;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// How classes are weighted; as a text, `none`, `balanced` or the name of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub enum ClassWeights {
    #[default]
    None,
    /// Each class as much as every other: the texts over the classes and over the texts of the class.
    Balanced,
    /// Lines of class, tab, weight; classes that are not named weigh 1.
    File(PathBuf),
}

impl From<String> for ClassWeights {
    fn from(text: String) -> Self {
        match text.as_str() {
            "none" => Self::None,
            "balanced" => Self::Balanced,
            _ => Self::File(text.into()),
        }
    }
}

impl From<ClassWeights> for String {
    fn from(weights: ClassWeights) -> Self {
        match weights {
            ClassWeights::None => "none".into(),
            ClassWeights::Balanced => "balanced".into(),
            ClassWeights::File(path) => path.display().to_string(),
        }
    }
}

impl FromStr for ClassWeights {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.to_owned().into())
    }
}

impl Display for ClassWeights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from(self.clone()))
    }
}

impl ClassWeights {
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }

    pub fn file(&self) -> Option<&PathBuf> {
        if let Self::File(path) = self { Some(path) } else { None }
    }

    /// One weight a class, given how many texts each has; empty where none are asked for.
    pub fn of(&self, classes: &[String], counts: &[f64]) -> Result<Vec<f32>> {
        match self {
            Self::None => Ok(Vec::new()),
            Self::Balanced => {
                let share = counts.iter().sum::<f64>() / classes.len() as f64;
                // A class without texts is not learnt, whatever it weighs.
                let weight = |&count: &f64| if count > 0.0 { (share / count) as f32 } else { 1.0 };
                Ok(counts.iter().map(weight).collect())
            }
            Self::File(path) => read(path, classes),
        }
    }
}

fn read(path: &Path, classes: &[String]) -> Result<Vec<f32>> {
    let text = files::read_text(path)?;
    let mut weights = vec![1.0; classes.len()];
    for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let mut put = || -> Result<()> {
            let (class, weight) = line
                .rsplit_once('\t')
                .context("is no class, tab, weight; give lines such as `spam<TAB>10`")?;
            let place = classes.iter().position(|name| name == class);
            let place = place.with_context(|| {
                format!("`{class}` is no class of the texts; these are {}", classes.join(", "))
            })?;
            let weight = weight.trim().parse().unwrap_or(0.0);
            ensure!(
                (1e-6..=1e6).contains(&weight),
                "the weight must be a number from 0.000001 to 1000000"
            );
            weights[place] = weight;
            Ok(())
        };
        put().with_context(|| format!("line {}", i + 1)).of_file(path)?;
    }
    Ok(weights)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balanced_classes_weigh_the_same_together() {
        let classes = ["a", "b", "c"].map(String::from);
        let counts = [30.0, 6.0, 0.0];
        let weights = ClassWeights::Balanced.of(&classes, &counts).unwrap();
        assert_eq!(weights, [0.4, 2.0, 1.0]);
        assert!(ClassWeights::None.of(&classes, &counts).unwrap().is_empty());
    }

    #[test]
    fn a_file_is_read_and_its_faults_are_placed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.tsv");
        let of = |text: &str| {
            std::fs::write(&path, text).unwrap();
            let weights = ClassWeights::from(path.display().to_string());
            weights.of(&["a".into(), "b c".into()], &[1.0, 1.0]).map_err(|e| format!("{e:#}"))
        };
        assert_eq!(of("b c\t2.5\n\n"), Ok(vec![1.0, 2.5]));
        for (text, fault) in [
            ("a\t1\nd\t2\n", "weights.tsv: line 2: `d` is no class of the texts; these are a, b c"),
            ("a 3\n", "line 1: is no class, tab, weight"),
            ("a\t-1\n", "line 1: the weight must be"),
            ("a\tNaN\n", "line 1: the weight must be"),
        ] {
            let error = of(text).unwrap_err();
            assert!(error.contains(fault), "{error}");
        }
    }
}
