//! Which platforms there are, and what they take.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Which platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Quafu-SQC, the platform of the `quarkstudio` client
    Sqc,
    /// The portal's task API, the platform of the `quafu-sdk` client
    Portal,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::Sqc, Self::Portal];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqc => "sqc",
            Self::Portal => "portal",
        }
    }

    pub const fn url(self) -> &'static str {
        match self {
            Self::Sqc => "https://quafu-sqc.baqis.ac.cn",
            Self::Portal => "https://quafu.com.cn",
        }
    }

    pub const fn variable(self) -> &'static str {
        match self {
            Self::Sqc => "QPU_API_TOKEN",
            Self::Portal => "QUAFU_API_KEY",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Limits {
    pub min_shots: u32,
    pub max_shots: u32,
    pub step: u32,
    pub daily_tasks: Option<u32>,
}
