//! Which columns of a table hold the label and the text, by the names in its header.

const LABELS: [&str; 9] =
    ["label", "labels", "class", "category", "intent", "target", "tag", "topic", "sentiment"];
const TEXTS: [&str; 9] =
    ["text", "texts", "sentence", "utterance", "message", "query", "comment", "content", "review"];

/// The places of label and text in a header, whatever the case of their names. Where one of two columns is named, the
/// other is the other.
pub fn of_header(names: &[&str]) -> (Option<usize>, Option<usize>) {
    let place = |known: [&str; 9]| {
        let named = |name: &str, i: usize| names[i].trim().to_lowercase() == name;
        let all = |name| (0..names.len()).filter(move |&i| named(name, i)).collect::<Vec<_>>();
        // The plainest name wins: `label` over `topic` where a table has both.
        known.into_iter().map(all).find(|places| !places.is_empty()).unwrap_or_default()
    };
    match (&place(LABELS)[..], &place(TEXTS)[..]) {
        (&[label], []) if names.len() == 2 => (Some(label), Some(1 - label)),
        ([], &[text]) if names.len() == 2 => (Some(1 - text), Some(text)),
        (label, text) => {
            // A name that stands twice tells nothing.
            let one = |places: &[usize]| places.first().copied().filter(|_| places.len() == 1);
            (one(label), one(text))
        }
    }
}

/// Whether a column's name is one of labels.
pub fn is_label(name: &str) -> bool {
    LABELS.contains(&name.trim().to_lowercase().as_str())
}

/// The places in a first row that may be one of data: it is a header if it names both. Data may hold one of these words,
/// hardly both.
pub fn of_first_row(fields: &[&str]) -> Option<(usize, usize)> {
    let is_text = |name: &&str| TEXTS.contains(&name.trim().to_lowercase().as_str());
    let known = fields.iter().any(|f| is_label(f)) && fields.iter().any(is_text);
    let (label, text) = of_header(fields);
    label.zip(text).filter(|_| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_told_from_data() {
        assert_eq!(of_first_row(&["label", "text"]), Some((0, 1)));
        assert_eq!(of_first_row(&["id", "Message ", "topic", "Label"]), Some((3, 1)));
        assert_eq!(of_first_row(&["topic", "turn on the light"]), None);
        assert_eq!(of_first_row(&["label"]), None);
        assert_eq!(of_header(&["kind", "sentence"]), (Some(0), Some(1)));
        assert_eq!(of_header(&["what", "kind"]), (None, None));
        assert_eq!(of_header(&["text", "Text"]), (None, None));
        assert_eq!(of_header(&["id", "kind", "text"]), (None, Some(2)));
    }
}
