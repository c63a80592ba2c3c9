//! A prompt template around a text, as token ids: what comes before, the text itself, what comes after.

use super::tokenizer::TextTokenizer;
use crate::teacher::TeacherError;

pub const SLOT: &str = "{text}";

/// A template split at its slot and tokenised once.
#[derive(Debug, Clone)]
pub struct Prompt {
    template: String,
    before: Vec<u32>,
    after: Vec<u32>,
    /// Words of byte-level BPE carry the space before them, so a space before the slot belongs to the text.
    space: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompted {
    pub ids: Vec<u32>,
    /// Where the text's own tokens lie in `ids`; empty for an empty text.
    pub text: std::ops::Range<usize>,
    pub cut: bool,
}

impl Prompt {
    /// Tokenises a template. Special tokens such as `<|im_start|>` are recognised here, never inside texts.
    pub fn parse(template: &str, reader: &mut TextTokenizer) -> Result<Self, TeacherError> {
        let (before, after) = match template.split_once(SLOT) {
            Some((before, after)) if !after.contains(SLOT) => (before, after),
            _ => {
                return Err(TeacherError::Tokenizer(format!(
                    "the prompt `{template}` needs {SLOT} exactly once"
                )));
            }
        };
        let trimmed = before.strip_suffix(' ');
        let first = trimmed.unwrap_or(before);
        // Where the model's texts begin with an unwritten space, the prompt's first piece carries it.
        let space = trimmed.is_some() || (first.is_empty() && reader.leading_space());
        let first = match reader.leading_space() && !first.is_empty() {
            true => format!(" {first}"),
            false => first.to_owned(),
        };
        reader.spell_marks(false);
        let before = [reader.opening(), reader.piece(&first)?.as_slice()].concat();
        let after = reader.piece(after)?;
        reader.spell_marks(true);
        Ok(Self { template: template.to_owned(), before, after, space })
    }

    pub fn after(&self) -> &str {
        self.template.split_once(SLOT).map_or("", |(_, after)| after)
    }

    pub fn overhead(&self) -> usize {
        self.before.len() + self.after.len()
    }

    /// Puts one text in; its end is cut off when prompt and text together pass `limit` tokens.
    pub fn fill(
        &self,
        text: &str,
        limit: usize,
        reader: &TextTokenizer,
    ) -> Result<Prompted, TeacherError> {
        let mut own = match self.space {
            true => reader.piece(&format!(" {text}"))?,
            false => reader.piece(text)?,
        };
        let room = limit.saturating_sub(self.overhead());
        let cut = own.len() > room;
        own.truncate(room);
        let start = self.before.len();
        let range = start..start + own.len();
        let mut ids: Vec<u32> =
            [self.before.as_slice(), own.as_slice(), self.after.as_slice()].concat();
        if ids.is_empty() {
            ids.push(0);
        }
        Ok(Prompted { ids, text: range, cut })
    }
}
