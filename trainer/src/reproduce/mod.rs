//! The paper's tasks, every method beside every other: runs, journal and report behind `qdllm reproduce`.

pub mod at_a_glance;
pub mod environment;
pub mod figures;
pub mod findings;
pub mod hidden_states;
pub mod journal;
pub mod label_source;
pub mod markdown;
pub mod method;
pub mod near_duplicates;
pub mod plan;
pub mod plot;
pub mod process;
pub mod report;
pub mod run;
pub mod task;
pub mod teacher;
pub mod teacher_process;
