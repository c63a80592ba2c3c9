//! How rows are read: the options that every command with data files has.

use serde::{Deserialize, Serialize};

/// What to do with a bad row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BadRows {
    /// Stop with an error that names the row.
    #[default]
    Refuse,
    /// Leave the row out and count it.
    Skip,
}

/// What is wanted of the labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Labels {
    /// Every row has one.
    All,
    /// Those that are there.
    Some,
    None,
}

/// How rows are read.
#[derive(Debug, Clone, Default, PartialEq, clap::Args, Serialize, Deserialize)]
#[serde(default)]
pub struct RowOptions {
    /// What to do with bad rows [default: refuse]
    #[arg(long, display_order = 23)]
    pub bad_rows: BadRows,
    /// Column of the labels in .tsv and .csv files: its name in the header, or its number from 1
    #[arg(long, value_name = "NAME|N", display_order = 24)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_column: Option<String>,
    /// Column of the texts, likewise
    #[arg(long, value_name = "NAME|N", display_order = 24)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_column: Option<String>,
    /// What stands between the columns of a .csv file, `tab` for a tab [default: a comma]
    #[arg(long, value_name = "C", value_parser = delimiter, display_order = 24)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
}

fn delimiter(text: &str) -> Result<char, String> {
    match text {
        "tab" | "\\t" => Ok('\t'),
        _ if text.len() == 1 => Ok(char::from(text.as_bytes()[0])),
        _ => Err("give one ASCII character, or `tab`".into()),
    }
}

impl From<BadRows> for RowOptions {
    fn from(bad_rows: BadRows) -> Self {
        Self { bad_rows, ..Self::default() }
    }
}

impl From<&Self> for RowOptions {
    fn from(options: &Self) -> Self {
        options.clone()
    }
}
