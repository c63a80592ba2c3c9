//! Small models with compiled sections: where the corpus starts from. A test keeps them as files.

use qdllm_runtime::QUBITS;
use qdllm_runtime::compiled::Measured;
use qdllm_runtime::compiled::polynomial::{self, OwnedNode};
use qdllm_runtime::compiled::tensor_train::{self, Chain, Cores, Link};
use qdllm_runtime::format::{Container, Kind, write};

const WORDS: &[u8] = include_bytes!("../../../tests/vectors/words_v1.qdm");

const MEASURED: Measured = Measured {
    asked: 0.99,
    agreement: 0.995,
    texts: 786,
    largest_logit_error: 0.5,
    multiply_adds: 100,
    ram_bytes: 256,
};

/// (name, model): the frozen sample with one compiled section each.
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let cores = [("train_f32", Cores::F32), ("train_i16", Cores::I16), ("train_i8", Cores::I8)];
    let trains = cores.map(|(name, cores)| {
        (name, with(Kind::TensorTrain, tensor_train::section(&MEASURED, &chain(cores))))
    });
    let polynomial = ("polynomial", with(Kind::Polynomial, polynomial_section()));
    std::iter::once(polynomial).chain(trains).collect()
}

/// The frozen sample with another section.
fn with(kind: Kind, section: Vec<u8>) -> Vec<u8> {
    // The file is one of the tests' vectors and whole.
    let container = Container::parse(WORDS).expect("the frozen sample is whole");
    let old = Kind::ALL.iter().filter_map(|&k| Some((k, container.get(k)?.to_vec())));
    write(&old.chain([(kind, section)]).collect::<Vec<_>>())
}

fn polynomial_section() -> Vec<u8> {
    let node = |depth, qubit, sine, weights: &[i16]| OwnedNode {
        depth,
        qubit,
        sine,
        weights: weights.to_vec(),
    };
    let nodes = [
        node(0, 2, false, &[]),
        node(1, 0, true, &[1 << 10, -300]),
        node(2, 10, true, &[77, 20_000]),
        node(0, 1, false, &[-4000, 5]),
    ];
    polynomial::section(&MEASURED, 10, &[1 << 24, -(1 << 23)], &nodes)
}

/// Bonds of one entry along all qubits: the first half from the left, the others from the right.
fn chain(cores: Cores) -> Chain {
    let (scale, fraction) = match cores {
        Cores::F32 => (1.0, 0),
        Cores::I16 => (8192.0, 13),
        Cores::I8 => (64.0, 6),
    };
    let link = |qubit: usize| Link {
        qubit: qubit as u8,
        bond: 1,
        fraction,
        shift: fraction,
        pivots: vec![true, false, false],
        rows: vec![0.75 * scale, -0.5 * scale],
    };
    let (left, right) = ((0..5).map(link).collect(), (5..QUBITS).map(link).collect());
    let shifts = if cores == Cores::F32 { [0, 0] } else { [fraction, 12] };
    Chain { cores, left, right, shifts, node: vec![0.5 * scale, -0.25 * scale] }
}
