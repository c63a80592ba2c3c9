//! Stratified folds for cross-validation, decided by a hash of each text rather than by a random stream.

use sha2::{Digest, Sha256};

use crate::teacher::TeacherError;

pub const FOLDS: usize = 5;

/// The fold of every row: each class is dealt evenly over [`FOLDS`] folds, or over as many as its rarest class has rows.
pub fn stratified(
    texts: &[&str],
    labels: &[usize],
    classes: &[String],
    seed: u64,
) -> Result<Vec<usize>, TeacherError> {
    if classes.len() < 2 {
        return Err(TeacherError::Labels(format!(
            "a probe needs at least 2 classes, the labels name {}",
            classes.len()
        )));
    }
    let mut ranked: Vec<Vec<([u8; 32], usize)>> = vec![Vec::new(); classes.len()];
    for (i, (text, &label)) in texts.iter().zip(labels).enumerate() {
        let mut hash = Sha256::new_with_prefix(b"qdllm fold");
        hash.update(seed.to_le_bytes());
        hash.update(text.as_bytes());
        ranked[label].push((hash.finalize().into(), i));
    }
    let rarest = ranked
        .iter()
        .enumerate()
        .min_by_key(|(_, rows)| rows.len())
        .map_or((0, 0), |(c, rows)| (c, rows.len()));
    if rarest.1 < 2 {
        let what = format!(
            "class `{}` has {} labelled text(s), a probe needs at least 2",
            classes[rarest.0], rarest.1
        );
        return Err(TeacherError::Labels(what));
    }
    let folds = rarest.1.min(FOLDS);
    let mut fold = vec![0; texts.len()];
    for (class, rows) in ranked.iter_mut().enumerate() {
        rows.sort_unstable();
        for (place, &(_, i)) in rows.iter().enumerate() {
            // The class shifts the deal, or every class's odd rows would land in the first folds.
            fold[i] = (place + class) % folds;
        }
    }
    Ok(fold)
}

#[cfg(test)]
mod tests {
    use super::{FOLDS, stratified};

    #[test]
    fn every_fold_has_every_class() {
        let texts: Vec<String> = (0..60).map(|i| format!("text {i}")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let labels: Vec<usize> = (0..60).map(|i| i % 3).collect();
        let classes = ["a", "b", "c"].map(String::from);
        let fold = stratified(&texts, &labels, &classes, 1).unwrap();
        for f in 0..FOLDS {
            for class in 0..3 {
                let n = (0..60).filter(|&i| fold[i] == f && labels[i] == class).count();
                assert_eq!(n, 4, "fold {f} class {class}");
            }
        }
        assert_ne!(fold, stratified(&texts, &labels, &classes, 2).unwrap());
    }

    #[test]
    fn refuses_what_cannot_be_validated() {
        let classes = ["a", "b"].map(String::from);
        let message =
            stratified(&["x", "y", "z"], &[0, 0, 1], &classes, 1).unwrap_err().to_string();
        assert!(message.contains("`b`"), "{message}");
        assert!(stratified(&["x", "y"], &[0, 0], &classes[..1], 1).is_err());
    }
}
