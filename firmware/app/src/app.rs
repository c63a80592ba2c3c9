//! The firmware at work: the model in use, and what one classification takes.

use crate::board::{Counters, SlotFlash};
use crate::boot::Boot;
use crate::engine::Engine;
use crate::slots::Slots;
use qdllm_link::Fault;
use qdllm_link::message::Cost;
use qdllm_runtime::{Model, Prediction};

/// What ends [`run`](crate::run).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Another model was chosen: the board must reset now, or call [`run`](crate::run) again.
    Reset,
    /// The line `:quit`. A board without an outside that could see an exit code calls [`run`](crate::run) again.
    Quit,
    /// The port gives no more bytes.
    Closed,
}

pub(crate) struct App<'f, 'm, F, M, E> {
    pub(crate) slots: Slots<'f, F>,
    pub(crate) boot: Boot<'m>,
    pub(crate) counters: &'f mut M,
    pub(crate) engine: &'f mut E,
    /// Transfers begun since the reset.
    pub(crate) begun: &'f mut u8,
}

impl<'m, F: SlotFlash<'m>, M: Counters, E: Engine> App<'_, 'm, F, M, E> {
    /// The model in use, or why there is none.
    pub(crate) fn model(&self) -> Result<Model<'m>, Fault> {
        let active = self.boot.active.as_ref();
        active.map(|found| found.model).ok_or_else(|| self.boot.fault())
    }

    /// Classifies a text and counts what that takes.
    pub(crate) fn classify(
        &mut self,
        text: &str,
    ) -> Result<(Model<'m>, Prediction<'_>, Cost), Fault> {
        let model = self.model()?;
        self.counters.start();
        let prediction = self.engine.classify(&model, text);
        let cost = Cost {
            instructions: self.counters.instructions(),
            cycles: self.counters.cycles(),
            microseconds: self.counters.microseconds(),
        };
        Ok((model, prediction?, cost))
    }

    /// What one classification of the built-in sentence takes, on average.
    pub(crate) fn bench(&mut self, runs: u16) -> Result<Cost, Fault> {
        let text = self.slots.config.probe;
        let mut sum = Cost::default();
        for _ in 0..runs {
            let (.., cost) = self.classify(text)?;
            sum.instructions = sum.instructions.saturating_add(cost.instructions);
            sum.cycles = sum.cycles.saturating_add(cost.cycles);
            sum.microseconds = sum.microseconds.saturating_add(cost.microseconds);
        }
        let mean = |total: u64| total / u64::from(runs.max(1));
        Ok(Cost {
            instructions: mean(sum.instructions),
            cycles: mean(sum.cycles),
            microseconds: mean(sum.microseconds),
        })
    }
}
