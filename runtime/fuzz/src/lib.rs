//! What the fuzz targets do with their input, apart from the fuzzer: tests replay the corpus through it.
//!
//! Nothing here may panic, whatever the bytes. `cargo xtask fuzz` runs the targets; `cargo test` in this
//! folder replays `corpus/`.

pub mod board;
pub mod mutate;
pub mod seeds;

use qdllm_runtime::circuit::qasm::{Circuit, Form};
use qdllm_runtime::compiled::tensor_train::Work;
use qdllm_runtime::format::Container;
use qdllm_runtime::{MAX_CLASSES, Model, Probabilities, Scratch, ScratchI16};

/// A way to classify a text: the class and the number of probabilities, or nothing where the model does
/// not carry the back end or takes no text.
type BackEnd = fn(&Model<'_>, &str) -> Option<(usize, usize)>;

/// Every back end; a new one is a line here.
pub const BACK_ENDS: &[(&str, BackEnd)] = &[
    ("statevector", |model, text| {
        let mut scratch = Box::new(Scratch::new());
        let p = model.classify(text, &mut scratch).ok()?;
        Some((p.class(), p.probabilities().len()))
    }),
    ("vector", |model, text| {
        let mut scratch = Box::new(Scratch::new());
        let input: Vec<f32> = text.bytes().map(|b| f32::from(b) / 64.0 - 2.0).collect();
        let p = model.classify_vector(&input, &mut scratch).ok()?;
        Some((p.class(), p.probabilities().len()))
    }),
    ("polynomial", |model, text| {
        let mut memory = Probabilities::new();
        let p = model.classify_by_polynomial(text, &mut memory).ok()?;
        Some((p.class(), p.probabilities().len()))
    }),
    ("statevector in 16 bits", |model, text| {
        let mut scratch = Box::new(ScratchI16::new());
        let p = model.classify_i16(text, &mut scratch).ok()?;
        Some((p.class(), p.probabilities().len()))
    }),
    ("vector in 16 bits", |model, text| {
        let mut scratch = Box::new(ScratchI16::new());
        let input: Vec<f32> = text.bytes().map(|b| f32::from(b) / 64.0 - 2.0).collect();
        let p = model.classify_vector_i16(&input, &mut scratch).ok()?;
        Some((p.class(), p.probabilities().len()))
    }),
    ("tensor train", |model, text| {
        let (mut work, mut memory) = (Work::new(), Probabilities::new());
        let p = model.classify_by_tensor_train(text, &mut work, &mut memory).ok()?;
        Some((p.class(), p.probabilities().len()))
    }),
];

/// Parses a model and reads everything that a model tells of itself.
pub fn model(data: &[u8]) {
    let _ = Model::from_region(data);
    let Ok(model) = Model::parse(data) else { return };
    assert_eq!(model.len_bytes(), data.len());
    assert!((2..=MAX_CLASSES).contains(&model.classes()));
    for class in 0..model.classes() {
        assert!(!model.label(class).is_empty());
    }
    let texts: usize = model.provenance().map(|(name, value)| name.len() + value.len()).sum();
    assert!(texts <= data.len());
    if let Some(source) = model.source() {
        assert!(source.angles_rad().count() * 4 <= data.len());
    }
    if let Some(source) = model.qasm() {
        assert!(source.angles_rad().count() * 4 + source.circuit.len() <= data.len());
    }
    let _ = model.program().ops().count();
    assert!(model.program().words().all(|(mask, _)| mask >> model.program().qubits() == 0));
    let _ = model.knows(0x9e37_79b9);
}

/// Classifies the text behind a model (a region that is longer than the model in it) by every back end.
pub fn classify(data: &[u8]) {
    let Ok(model) = Model::from_region(data) else { return };
    let text = String::from_utf8_lossy(&data[model.len_bytes()..]);
    let inputs = match model.meta().front {
        qdllm_runtime::format::meta::FrontEnd::Dense { inputs } => inputs as usize,
        _ => 0,
    };
    for (name, back_end) in BACK_ENDS {
        let longer = text.repeat(inputs.min(4096) / text.len().max(1) + 1);
        for text in [&*text, longer.get(..inputs).unwrap_or("")] {
            if let Some((class, probabilities)) = back_end(&model, text) {
                assert!(class < model.classes(), "{name}");
                assert_eq!(probabilities, model.classes(), "{name}");
            }
        }
    }
}

/// Reads a circuit; what is read is written, read again and fused.
pub fn qasm(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let Ok(circuit) = Circuit::read(text) else { return };
    for form in [Form::Table, Form::Two] {
        let again = Circuit::read(&circuit.write_as(form)).expect("what is written can be read");
        assert_eq!(again.gates.len(), circuit.gates.len());
        assert_eq!((&again.barriers, &again.measures), (&circuit.barriers, &circuit.measures));
    }
    let _ = circuit.fused();
}

/// The bytes of the model at the front of a region, if it is long enough.
pub fn model_length(data: &[u8]) -> Option<usize> {
    Container::stated_length(data).ok().filter(|&length| length <= data.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn replay(target: &str, run: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
        let mut files = 0;
        for entry in folder.read_dir().unwrap() {
            run(&std::fs::read(entry.unwrap().path()).unwrap());
            files += 1;
        }
        assert!(files > 3, "{target}: the corpus has {files} files");
    }

    #[test]
    fn the_corpus_of_model_holds() {
        replay("model", model);
    }

    #[test]
    fn the_corpus_of_classify_holds() {
        replay("classify", classify);
    }

    #[test]
    fn the_corpus_of_qasm_holds() {
        replay("qasm", qasm);
    }

    #[test]
    fn the_corpus_of_board_holds() {
        replay("board", board::board);
    }

    #[test]
    fn the_corpus_reaches_every_back_end() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
        for (name, model) in seeds::seeds() {
            // To renew them: delete the files and run this test.
            let texts: [(&str, &[u8]); 2] = [("model", b""), ("classify", b"turn on the light")];
            for (target, text) in texts {
                let (path, whole) = (folder.join(target).join(name), [&model, text].concat());
                if !path.exists() {
                    std::fs::write(&path, &whole).unwrap();
                }
                assert!(std::fs::read(&path).unwrap() == whole, "{}", path.display());
            }
        }
        let files = folder.join("classify").read_dir().unwrap();
        let files: Vec<Vec<u8>> =
            files.map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect();
        for (name, back_end) in BACK_ENDS {
            let answers = files.iter().filter(|data| {
                let Ok(model) = Model::from_region(data) else { return false };
                let text = String::from_utf8_lossy(&data[model.len_bytes()..]);
                back_end(&model, &text).is_some()
            });
            assert!(answers.count() > 0, "{name} answers no file of the corpus");
        }
    }

    #[test]
    fn mutated_models_mostly_pass_the_checksum() {
        let seed = include_bytes!("../../../tests/vectors/words_v1.qdm");
        let (mut whole, mut parsed, mut classified) = (0, 0, 0);
        for round in 0..500 {
            let mut data = seed.to_vec();
            data.extend_from_slice(b"turn on the light");
            let size = data.len();
            data.resize(size + 256, 0);
            let size = mutate::region(&mut data, size, round, |bytes, size| {
                // A stand-in for libFuzzer's own mutator.
                let at = round as usize * 7919 % size.max(1);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << (round % 8);
                }
                size
            });
            let data = &data[..size];
            whole +=
                u32::from(model_length(data).is_some_and(|n| Container::parse(&data[..n]).is_ok()));
            parsed += u32::from(Model::from_region(data).is_ok());
            model(data);
            classify(data);
            classified += 1;
        }
        assert_eq!(classified, 500);
        assert!(whole > 300, "{whole} of 500 pass the checksum");
        assert!(parsed > 75 && parsed < 475, "{parsed} of 500 are models still");
    }
}
