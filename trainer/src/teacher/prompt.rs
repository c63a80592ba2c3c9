//! A prompt template around a text, as token ids: what comes before, the text itself, what comes after.

use tokenizers::Tokenizer;

use super::TeacherError;

/// Marks the text's place in a template.
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

/// One text in its prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompted {
    /// All token ids; never empty.
    pub ids: Vec<u32>,
    /// Where the text's own tokens lie in `ids`; empty for an empty text.
    pub text: std::ops::Range<usize>,
    /// True when the text was cut to fit the context.
    pub cut: bool,
}

impl Prompt {
    /// Tokenises a template. Special tokens such as `<|im_start|>` are recognised here, never inside texts.
    ///
    /// # Errors
    /// When the template does not have the slot exactly once or the tokenizer fails.
    pub fn parse(template: &str, tokenizer: &mut Tokenizer) -> Result<Self, TeacherError> {
        let (before, after) = match template.split_once(SLOT) {
            Some((before, after)) if !after.contains(SLOT) => (before, after),
            _ => {
                return Err(TeacherError::Tokenizer(format!(
                    "the prompt `{template}` needs {SLOT} exactly once"
                )));
            }
        };
        let trimmed = before.strip_suffix(' ');
        tokenizer.set_encode_special_tokens(false);
        let parsed = Self {
            template: template.to_owned(),
            before: encode(tokenizer, trimmed.unwrap_or(before))?,
            after: encode(tokenizer, after)?,
            space: trimmed.is_some(),
        };
        tokenizer.set_encode_special_tokens(true);
        Ok(parsed)
    }

    /// The template as given.
    pub fn template(&self) -> &str {
        &self.template
    }

    /// What the template says after the text.
    pub fn after(&self) -> &str {
        self.template.split_once(SLOT).map_or("", |(_, after)| after)
    }

    /// Tokens that the template itself takes.
    pub fn overhead(&self) -> usize {
        self.before.len() + self.after.len()
    }

    /// Puts one text in; its end is cut off when prompt and text together pass `limit` tokens.
    ///
    /// # Errors
    /// When the tokenizer fails on the text.
    pub fn fill(
        &self,
        text: &str,
        limit: usize,
        tokenizer: &Tokenizer,
    ) -> Result<Prompted, TeacherError> {
        let mut own = match self.space {
            true => encode(tokenizer, &format!(" {text}"))?,
            false => encode(tokenizer, text)?,
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

/// Token ids of a piece of text, nothing added around it.
///
/// # Errors
/// When the tokenizer fails.
pub fn encode(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>, TeacherError> {
    let encoding =
        tokenizer.encode(text, false).map_err(|e| TeacherError::Tokenizer(e.to_string()))?;
    Ok(encoding.get_ids().to_vec())
}
