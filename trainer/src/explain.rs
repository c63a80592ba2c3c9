//! Which n-grams moved a decision: each is left out in turn and the answer compared.

use qdllm_runtime::format::meta::FrontEnd;
use qdllm_runtime::text::ngram::{GramKinds, grams};
use qdllm_runtime::{Error, Model, Scratch};
use serde::Serialize;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Moved {
    /// The n-gram as it stands in the text.
    pub ngram: String,
    /// The decided class's log-odds with it, less those without it: positive spoke for the decision.
    pub by: f32,
}

/// The n-grams of `text` that the model knows, by falling weight.
///
/// An n-gram that occurs twice is listed twice, each time for that one occurrence.
pub fn explain(model: &Model<'_>, text: &str, scratch: &mut Scratch) -> Result<Vec<Moved>, Error> {
    let FrontEnd::Words { kinds, .. } = model.meta().front else {
        return Err(Error::WrongFrontEnd);
    };
    let class = model.classify(text, scratch)?.class();
    let mut log_odds = |skip: Option<usize>| -> Result<f32, Error> {
        let p = model.classify_without(text, skip, scratch)?.probabilities()[class];
        let p = p.clamp(1e-7, 1.0 - 1e-7);
        Ok((p / (1.0 - p)).ln())
    };
    let whole = log_odds(None)?;
    // N-grams that are none without edges reach over an end: the last ones over that after the last word.
    let mut inner = grams(text, GramKinds { edges: false, ..kinds }).peekable();
    let after = usize::from(kinds.bigrams) + usize::from(kinds.trigrams);
    let words = grams(text, kinds).count().saturating_sub(after);
    let mut moved = Vec::new();
    for (i, gram) in grams(text, kinds).enumerate() {
        let within = inner.next_if_eq(&gram).is_some();
        if model.vocabulary().and_then(|v| v.row(gram.hash)).is_some() {
            let by = whole - log_odds(Some(i))?;
            let ngram = &text[gram.start..gram.end];
            let ngram = match (within, i < words) {
                (true, _) => ngram.to_owned(),
                (false, true) => format!("^{ngram}"),
                (false, false) => format!("{ngram}$"),
            };
            moved.push(Moved { ngram, by });
        }
    }
    moved.sort_by(|a, b| b.by.abs().total_cmp(&a.by.abs()));
    Ok(moved)
}
