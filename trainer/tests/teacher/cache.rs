//! The feature cache: what survives a run that ended in the middle of a write, and what is refused.

use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use qdllm_trainer::teacher::cache::{Cache, Key};
use qdllm_trainer::teacher::{Identity, Pooled};

fn identity(settings: &str) -> Identity {
    Identity { name: "tiny".into(), digest: "ab".repeat(32), settings: settings.into() }
}

fn open(folder: &Path) -> Cache {
    Cache::open(folder, &identity("plain"), 2, 3).unwrap()
}

fn record(cache: &Cache, text: &str, start: u8) -> (Key, Pooled) {
    let values = (start..start + 6).map(f32::from).collect();
    (cache.key(text), Pooled { values, tokens: usize::from(start), cut: start % 2 == 1 })
}

/// A chunk of one text and one of two on disk; returns the file.
fn fill(folder: &Path) -> std::path::PathBuf {
    let mut cache = open(folder);
    let rows =
        [("one", 1), ("two", 2), ("three", 3)].map(|(text, start)| record(&cache, text, start));
    cache.append(&rows[..1]).unwrap();
    cache.append(&rows).unwrap();
    cache.path().to_owned()
}

#[test]
fn gives_back_what_was_put_in_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let mut cache = open(folder.path());
    assert_eq!(cache.len(), 3);
    let key = cache.key("three");
    assert_eq!(cache.read(&key, 0).unwrap(), Some(vec![3.0, 4.0, 5.0]));
    assert_eq!(cache.read(&key, 1).unwrap(), Some(vec![6.0, 7.0, 8.0]));
    let entry = cache.get(&key).unwrap();
    assert_eq!((entry.tokens, entry.cut), (3, true));
    let other = cache.key("four");
    assert_eq!(cache.read(&other, 0).unwrap(), None);
}

#[test]
fn a_chunk_that_is_torn_anywhere_is_dropped_whole_and_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = fill(folder.path());
    let whole = std::fs::read(&path).unwrap();
    let chunk = (whole.len() - 48) / 3 * 2;
    for lost in 1..=chunk {
        std::fs::write(&path, &whole[..whole.len() - lost]).unwrap();
        let mut cache = open(folder.path());
        assert_eq!(cache.len(), 1, "{lost} bytes lost");
        let rows = [("two", 2), ("three", 3)].map(|(text, start)| record(&cache, text, start));
        cache.append(&rows).unwrap();
        drop(cache);
        assert!(std::fs::read(&path).unwrap() == whole, "{lost} bytes lost");
    }
    // Within the header, too.
    std::fs::write(&path, &whole[..20]).unwrap();
    assert!(open(folder.path()).is_empty());
}

#[test]
fn a_chunk_with_zeros_is_dropped() {
    // After a power cut a file can be long enough and still not hold all of its last bytes.
    let folder = tempfile::tempdir().unwrap();
    let path = fill(folder.path());
    let length = std::fs::metadata(&path).unwrap().len();
    let record = (length - 48) / 3;
    for lost in [length - 10, length - record - 10] {
        fill(folder.path());
        let mut file = OpenOptions::new().write(true).open(&path).unwrap();
        file.seek(SeekFrom::Start(lost)).unwrap();
        file.write_all(&[0; 10]).unwrap();
        drop(file);
        assert_eq!(open(folder.path()).len(), 1, "zeros from {lost}");
    }
}

#[test]
fn a_flipped_bit_in_the_middle_is_an_error_and_not_a_feature() {
    let folder = tempfile::tempdir().unwrap();
    let path = fill(folder.path());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[48 + 36 + 2] ^= 4;
    std::fs::write(&path, bytes).unwrap();
    let mut cache = open(folder.path());
    let key = cache.key("one");
    let message = cache.read(&key, 0).unwrap_err().to_string();
    assert!(message.contains("checksum") && message.contains("delete"), "{message}");
    assert!(cache.read(&key, 1).unwrap().is_some());
}

#[test]
fn settings_and_models_do_not_share_features() {
    let folder = tempfile::tempdir().unwrap();
    let path = fill(folder.path());
    let other = Cache::open(folder.path(), &identity("another prompt"), 2, 3).unwrap();
    assert!(other.is_empty());
    assert_ne!(other.path(), path);
    // A file under the wrong name is not believed.
    std::fs::copy(&path, other.path()).unwrap();
    let moved = other.path().to_owned();
    drop(other);
    let message =
        Cache::open(folder.path(), &identity("another prompt"), 2, 3).err().unwrap().to_string();
    assert!(message.contains(&moved.display().to_string()), "{message}");
}

#[test]
fn a_second_writer_is_turned_away() {
    let folder = tempfile::tempdir().unwrap();
    let _first = open(folder.path());
    let message = Cache::open(folder.path(), &identity("plain"), 2, 3).err().unwrap().to_string();
    assert!(message.contains("--cache"), "{message}");
}
