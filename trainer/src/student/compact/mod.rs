//! The front end `compact`: n-grams through a keyless table to `rank` numbers of a few bits each, summed and lifted to 11.
//!
//! A logistic regression of low rank fixes the numbers ([`low_rank`]); they are rounded to levels ([`levels`]) and put into
//! a table ([`qdllm_runtime::text::ribbon`]). What the table gives, foreign n-grams that it takes for its own included, is
//! what the circuit then learns from: a dense layer of `rank` inputs, taught by the regression's logits.

pub mod levels;
pub mod low_rank;
mod rounding;
pub mod size_search;
mod start;

use self::low_rank::{LinearHead, LowRank, Matrix};
use super::Prepared;
use super::dense::{Dense, fold, scale, standardise};
use super::front_end::{Examples, FrontEnd, Mark, Sample, Shape};
use super::left_out;
use super::reject::refused;
use super::shape::Ansatz;
use super::vocabulary::Counter;
use crate::data::corpus::{Corpus, Part};
use crate::inference::Scratch;
use crate::numeric::{argmax, softmax_in_place};
use crate::options::{CompactConfig, Config, HiddenLayer, TrainingConfig};
use crate::regression::logistic::SparseRow;
use crate::seed::stream;
use anyhow::{Result, anyhow, ensure};
use nalgebra::DMatrix;
use qdllm_host::terminal::Progress;
use qdllm_runtime::angles::Squash;
use qdllm_runtime::format::encode::FrontEndParts;
use qdllm_runtime::text::compact::{Compact as Tables, CompactSizes};
use qdllm_runtime::text::ngram::{Gram, GramKinds, grams};
use qdllm_runtime::text::pool::{Pool, ROW};
use qdllm_runtime::text::ribbon;
use qdllm_runtime::{Error, Model, Prediction, QUBITS};
use rand::Rng;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// N-grams that the selection weighs at most, the first by chi-squared.
const CANDIDATES: usize = 30_000;
/// Steps of the circuit's training where nothing is asked for.
const STEPS: usize = 2500;
/// Its learning rates, as a part of those from a start by chance.
const RATE: f32 = 0.3;

/// The tables as they are written, and the layer behind them.
#[derive(Clone, Debug)]
pub struct Compact {
    kinds: GramKinds,
    pool: Pool,
    sizes: CompactSizes,
    table: Vec<u8>,
    levels: Vec<i8>,
    layer: Dense,
    /// The regression's head for standardised inputs: where training begins.
    head: LinearHead,
}

/// The lift in signed bytes, and what one is worth by feature.
#[derive(Clone, Debug)]
pub struct Lift {
    weights: Vec<i8>,
    worth: [f32; ROW],
    /// The head's section.
    head: Vec<u8>,
}

impl Compact {
    /// Reads the files once: their n-grams are kept as hashes.
    pub fn prepare(config: &Config, progress: &mut Progress) -> Result<Prepared<Self>> {
        let corpus = Corpus::open(&config.sources, progress)?;
        let classes = corpus.classes.len();
        let kinds = config.gram_kinds();
        let mut counter = Counter::of_whole_hashes(classes, kinds);
        let (mut train, mut valid) = (Examples::default(), Examples::default());
        let (mut marks, mut probes) = (Vec::new(), Vec::new());
        let tally = corpus.each("counting n-grams", progress, |text| {
            counter.add(&text);
            let part = if text.part == Part::Train { &mut train } else { &mut valid };
            part.push(grams(text.text, kinds).map(|g| g.hash), text.label, text.teacher);
            if text.part == Part::Train {
                marks.push(Mark::new(text.label, text.text));
            } else if probes.len() < super::PROBES {
                probes.push(text.text.to_owned());
            }
        })?;
        let found = counter.select(CANDIDATES);
        ensure!(
            !found.is_empty(),
            "no n-gram occurs in two of the training texts, so there is nothing to learn from; give more texts, some dozens a class"
        );
        progress.say(&format!("{} n-grams occur in two of the texts or more", found.len()));
        let mut sums = vec![0.0; classes];
        train.samples().iter().for_each(|sample| sample.share_out(&mut sums));
        let weights = config.training.class_weights.of(&corpus.classes, &sums)?;
        let judged = left_out::asks(config, &train, &marks, &corpus.counts).then(|| {
            let wrong = |teachers| {
                let [learnt, judging] = left_out::parts(&train, &marks, teachers);
                Linear::of_best(&learnt, &weights, classes, &found, config).wrong(&judging)
            };
            [wrong(true), wrong(false)]
        });
        let linear = Linear::of_best(&train, &weights, classes, &found, config);
        let (front, head) = linear.tables(&train, kinds, config)?;
        let (hidden, ansatz) = (HiddenLayer::Circuit, Ansatz::paper());
        let mut prepared = Prepared::new(Shape { front, classes, hidden, ansatz }, &corpus);
        (prepared.tally, prepared.marks, prepared.probes) = (tally, marks, probes);
        prepared.take_up(&head, &train, &valid)?;
        (prepared.valid.weights, prepared.judged) = (weights, Some(judged));
        Ok(prepared)
    }

    /// What the table gives for each text's n-grams, as on a device: sums over the divisor, in units of the levels.
    fn pooled(&self, texts: &Examples<u32>) -> Result<Vec<Vec<f32>>> {
        let rank = usize::from(self.sizes.rank);
        let levels: Vec<u8> = self.levels.iter().map(|&level| level as u8).collect();
        let no_lift = vec![0; ROW * rank];
        let tables =
            Tables::parse(self.sizes, [&self.table, &levels, &no_lift]).map_err(refused)?;
        let pool = |sample: &Sample<'_, u32>| {
            let grams = sample.input.iter().map(|&hash| Gram { hash, start: 0, end: 0 });
            let (sums, found) = tables.sums(grams);
            let divisor = self.pool.divisor(found);
            sums[..rank].iter().map(|&sum| sum as f32 / divisor).collect()
        };
        Ok(texts.samples().par_iter().map(pool).collect())
    }
}

impl Prepared<Compact> {
    /// The texts as the table gives them, each training text with the regression's logits for its teacher.
    fn take_up(
        &mut self,
        head: &LinearHead,
        train: &Examples<u32>,
        valid: &Examples<u32>,
    ) -> Result<()> {
        let (trained, judged) = (self.shape.front.pooled(train)?, self.shape.front.pooled(valid)?);
        for vector in trained {
            let teacher = head.logits(&vector);
            self.texts.push(vector, None, Some(&teacher));
        }
        let (mut right, mut of) = (0, 0);
        for (vector, sample) in judged.into_iter().zip(valid.samples()) {
            if let Some(class) = sample.class() {
                right += usize::from(argmax(&head.logits(&vector)) == class);
                of += 1;
            }
            self.valid.push(vector, sample.label, sample.teacher);
        }
        self.linear = (of > 0).then(|| right as f64 / of as f64);
        self.shape.front.layer.scale = scale(usize::from(self.shape.front.sizes.rank), &self.texts);
        let scales = self.shape.front.layer.scale.clone();
        for part in [&mut self.texts, &mut self.valid] {
            standardise(part, &scales);
        }
        self.shape.front.head = head.standardised(&scales);
        Ok(())
    }
}

/// The regression on whole numbers, before anything is rounded.
struct Linear {
    /// Hashes of the chosen n-grams, the most telling first.
    grams: Vec<u32>,
    /// By n-gram: the share of texts in which it occurs, to the power of minus `frequency_power`, about 1 in the mean.
    worth: Vec<f64>,
    model: LowRank,
    penalty: f64,
}

/// What a regression is fitted to.
struct Task<'t> {
    train: &'t Examples<u32>,
    /// `classes` numbers a text.
    targets: Vec<f32>,
    classes: usize,
    rank: usize,
    penalty: f64,
    frequency_power: f64,
}

impl<'t> Task<'t> {
    fn new(train: &'t Examples<u32>, weights: &[f32], classes: usize, config: &Config) -> Self {
        let CompactConfig { rank, penalty, frequency_power, .. } = config.compact;
        Self {
            train,
            targets: targets(train, weights, classes),
            classes,
            rank: rank.unwrap_or(QUBITS).min(classes - 1).min(QUBITS),
            penalty: penalty.unwrap_or_else(|| usual_penalty(train.count(), classes)),
            frequency_power,
        }
    }

    /// A regression on these n-grams, what each of them is worth, and in what share of the texts it occurs.
    fn fit(&self, grams: &[u32], iterations: usize) -> (LowRank, Vec<f64>, Vec<f64>) {
        let places = places(self.train, grams);
        let shares = shares_of_texts(&places, grams.len());
        let mut worth: Vec<f64> = shares.iter().map(|s| s.powf(-self.frequency_power)).collect();
        let mean = worth.iter().sum::<f64>() / worth.len() as f64;
        worth.iter_mut().for_each(|w| *w /= mean);
        let x = Matrix::new(matrix(&places, &worth), grams.len());
        let mut model = LowRank::start(&x, &self.targets, self.classes, self.rank);
        model.fit(&x, &self.targets, self.penalty, iterations);
        (model, worth, shares)
    }

    /// Candidates, the most telling first.
    fn ranked(&self, candidates: &[u32]) -> Vec<u32> {
        let (model, worth, shares) = self.fit(candidates, 60);
        let lengths = model.lengths();
        let telling = |i: usize| lengths[i] * worth[i] * shares[i].sqrt();
        let mut order: Vec<usize> = (0..candidates.len()).collect();
        order.sort_by(|&a, &b| {
            telling(b).total_cmp(&telling(a)).then(candidates[a].cmp(&candidates[b]))
        });
        order.into_iter().map(|i| candidates[i]).collect()
    }
}

/// A hundredth of the texts of a class, within bounds.
fn usual_penalty(texts: usize, classes: usize) -> f64 {
    (texts as f64 / classes as f64 / 100.0).clamp(0.1, 16.0)
}

/// Steps of the regression that is rounded.
const ITERATIONS: usize = 100;

impl Linear {
    /// Of these n-grams.
    fn fit(task: &Task<'_>, grams: &[u32], iterations: usize) -> Self {
        let (mut model, worth, _) = task.fit(grams, iterations);
        for (row, worth) in model.rows.chunks_exact_mut(task.rank).zip(&worth) {
            row.iter_mut().for_each(|x| *x *= worth);
        }
        Self { grams: grams.to_vec(), worth, model, penalty: task.penalty }
    }

    /// Of the most telling of the candidates, as many as settings ask for.
    fn of_best(
        train: &Examples<u32>,
        weights: &[f32],
        classes: usize,
        candidates: &[u32],
        config: &Config,
    ) -> Self {
        let task = Task::new(train, weights, classes, config);
        let mut ranked = task.ranked(candidates);
        ranked.truncate(config.student.rows);
        Self::fit(&task, &ranked, ITERATIONS)
    }

    /// As [`left_out::is_wrong`] has it, of each text.
    fn wrong(&self, texts: &Examples<u32>) -> Vec<f64> {
        let ones = vec![1.0; self.grams.len()];
        let rows = matrix(&places(texts, &self.grams), &ones);
        let sums = self.model.sums(&Matrix::new(rows, ones.len()));
        let each = sums.chunks_exact(self.model.rank).zip(texts.samples());
        each.map(|(sums, sample)| left_out::is_wrong(argmax(&self.model.logits(sums)), &sample))
            .collect()
    }

    /// Rounds the rows and puts them into a table.
    fn tables(
        &self,
        train: &Examples<u32>,
        kinds: GramKinds,
        config: &Config,
    ) -> Result<(Compact, LinearHead)> {
        let Self { grams, model, .. } = self;
        let CompactConfig { code_bits, fingerprint_bits, .. } = config.compact;
        let (rank, count) = (model.rank, grams.len());
        let (rows, head) = self.balanced(config.training.seed);
        let (texts, ridge) = self.curvature(train);
        let mut weights = ridge.clone();
        texts.iter().flatten().for_each(|&(column, x)| weights[column as usize] += x * x);
        let levels: Vec<Vec<f64>> = (0..rank)
            .into_par_iter()
            .map(|d| {
                let values: Vec<f64> = (0..count).map(|i| rows[i * rank + d]).collect();
                levels::lloyd(&values, &weights, code_bits)
            })
            .collect();
        // Signed bytes, each dimension with its own unit.
        let unit = |levels: &Vec<f64>| {
            let most = levels.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
            if most > 0.0 { most / 127.0 } else { 1.0 }
        };
        let units: Vec<f64> = levels.iter().map(unit).collect();
        let bytes: Vec<Vec<i8>> = (levels.iter().zip(&units))
            .map(|(levels, unit)| levels.iter().map(|x| (x / unit).round() as i8).collect())
            .collect();
        let worth =
            |(bytes, unit): (&Vec<i8>, &f64)| bytes.iter().map(|&b| f64::from(b) * unit).collect();
        let levels: Vec<Vec<f64>> = bytes.iter().zip(&units).map(worth).collect();
        let codes = levels::round(&rows, &levels, &texts, &ridge);
        let bits = |codes: &[u8]| -> Vec<bool> {
            codes.iter().flat_map(|&code| (0..code_bits).map(move |i| code >> i & 1 == 1)).collect()
        };
        let entries: Vec<(u32, Vec<bool>)> = grams
            .iter()
            .zip(codes.chunks_exact(rank))
            .map(|(&g, codes)| (g, bits(codes)))
            .collect();
        let solved = ribbon::solve(&entries, fingerprint_bits).map_err(|_| {
            anyhow!("{count} n-grams are more than a table holds; give fewer --rows")
        })?;
        let sizes = CompactSizes {
            rank: rank as u8,
            code_bits,
            fingerprint_bits,
            seed: solved.seed,
            slots: solved.slots,
        };
        let layer =
            Dense { scale: vec![(0.0, 1.0); rank], squash: Squash::PiTanh, digest: String::new() };
        let (table, levels) = (solved.columns, bytes.concat());
        let head = LinearHead {
            weights: head
                .iter()
                .enumerate()
                .map(|(i, w)| (w * units[i / model.classes]) as f32)
                .collect(),
            bias: model.bias.iter().map(|&b| b as f32).collect(),
        };
        let (pool, own) = (config.student.pool(), head.clone());
        let front = Compact { kinds, pool, sizes, table, levels, layer, head: own };
        Ok((front, head))
    }

    /// Rows and head turned so that the head is orthonormal and all dimensions count alike: none deserves more bits.
    fn balanced(&self, seed: u64) -> (Vec<f64>, Vec<f64>) {
        let LowRank { rank, classes, rows, head, .. } = &self.model;
        let (rank, classes) = (*rank, *classes);
        let rows = DMatrix::from_row_slice(rows.len() / rank, rank, rows);
        let mut head = DMatrix::from_row_slice(rank, classes, head);
        for mut row in head.row_iter_mut() {
            let mean = row.mean();
            row.add_scalar_mut(-mean);
        }
        let svd = head.svd(true, true);
        let (Some(u), Some(v_t)) = (svd.u, svd.v_t) else {
            return (rows.transpose().as_slice().to_vec(), Vec::new());
        };
        let mut rng = stream(seed, "rotation");
        let normal = |_, _| (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
        let turn = DMatrix::from_fn(rank, rank, normal).qr().q();
        let rows = rows * u * DMatrix::from_diagonal(&svd.singular_values) * &turn;
        let head = turn.transpose() * v_t;
        (rows.transpose().as_slice().to_vec(), head.transpose().as_slice().to_vec())
    }

    /// Each text's n-grams with what they count for in the curvature of the loss, and the penalty's part of it.
    fn curvature(&self, train: &Examples<u32>) -> (Vec<Vec<(u32, f64)>>, Vec<f64>) {
        let ones = vec![1.0; self.grams.len()];
        let x = Matrix::new(matrix(&places(train, &self.grams), &ones), ones.len());
        let sums = self.model.sums(&x);
        let classes = self.model.classes as f64;
        let texts = x.rows.par_iter().zip(sums.par_chunks(self.model.rank)).map(|(row, sums)| {
            let mut p = self.model.logits(sums);
            softmax_in_place(&mut p, 1.0);
            let mean = p.iter().map(|p| p * (1.0 - p)).sum::<f64>() / classes;
            row.iter().map(|&(column, x)| (column, f64::from(x) * mean.sqrt())).collect()
        });
        let ridge = self.worth.iter().map(|w| self.penalty / 4.0 / (w * w)).collect();
        (texts.collect(), ridge)
    }
}

/// How much of each text is of each class, as it weighs: `classes` numbers a text.
fn targets(texts: &Examples<u32>, weights: &[f32], classes: usize) -> Vec<f32> {
    let mut targets = Vec::with_capacity(texts.count() * classes);
    for sample in texts.samples() {
        let mut shares = vec![0.0; classes];
        sample.share_out(&mut shares);
        let weight = |class| weights.get(class).copied().unwrap_or(1.0);
        targets.extend(shares.iter().enumerate().map(|(class, &s)| s as f32 * weight(class)));
    }
    targets
}

/// Each text's chosen n-grams by their places among the chosen, ascending, with repeats.
fn places(texts: &Examples<u32>, grams: &[u32]) -> Vec<Vec<u32>> {
    let places: HashMap<u32, u32> = grams.iter().zip(0..).map(|(&hash, i)| (hash, i)).collect();
    let row = |sample: &Sample<'_, u32>| {
        let mut found: Vec<u32> =
            sample.input.iter().filter_map(|hash| places.get(hash).copied()).collect();
        found.sort_unstable();
        found
    };
    texts.samples().par_iter().map(row).collect()
}

/// In what share of the texts each of the chosen n-grams occurs.
fn shares_of_texts(places: &[Vec<u32>], count: usize) -> Vec<f64> {
    let mut counts = vec![0_u32; count];
    for chunk in places.iter().flat_map(|row| row.chunk_by(|a, b| a == b)) {
        counts[chunk[0] as usize] += 1;
    }
    counts.into_iter().map(|n| f64::from(n.max(1)) / places.len() as f64).collect()
}

/// The same as columns, repeats added up, over the square root of how many there are.
fn matrix(places: &[Vec<u32>], worth: &[f64]) -> Vec<SparseRow> {
    let row = |found: &Vec<u32>| {
        let divisor = Pool::Root.divisor(found.len() as u32);
        let mut row: SparseRow = Vec::with_capacity(found.len());
        for &column in found {
            let x = worth[column as usize] as f32 / divisor;
            match row.last_mut() {
                Some((last, sum)) if *last == column => *sum += x,
                _ => row.push((column, x)),
            }
        }
        row
    };
    places.par_iter().map(row).collect()
}

impl FrontEnd for Compact {
    type Item = f32;
    type Probe = String;
    type Rounded = Lift;

    /// Features are rounded once more where the table's sums are divided.
    const TOLERANCE: f32 = 2e-3;

    /// It begins near its goal: few steps, small ones.
    fn training(config: &Config, texts: usize) -> (TrainingConfig, bool) {
        let asked = &config.training;
        let default = TrainingConfig::default();
        let few = (asked.epochs, asked.min_steps) == (default.epochs, default.min_steps);
        let steps = texts.div_ceil(asked.batch_size).max(1);
        let own = TrainingConfig {
            epochs: if few { STEPS.div_ceil(steps) } else { config.training_of(texts).epochs },
            lr: RATE * asked.lr,
            circuit_lr: RATE * asked.circuit_lr,
            dropout: 0.0,
            weight_decay: 0.0,
            smoothing: 0.0,
            temperature: 1.0,
            ..asked.clone()
        };
        (own, true)
    }

    fn weights(&self) -> usize {
        self.layer.weights()
    }

    fn initial_bound(&self) -> f32 {
        0.4 / (self.layer.scale.len() as f32).sqrt()
    }

    fn start(shape: &Shape<Self>, theta: &mut [f32]) {
        if shape.hidden == HiddenLayer::Circuit {
            start::linear(shape, shape.front.layer.scale.len(), &shape.front.head, theta);
        }
    }

    fn squash(&self) -> Squash {
        self.layer.squash()
    }

    fn through_squash(&self, features: &[f32], by_angle: &[f32]) -> Vec<f32> {
        self.layer.through_squash(features, by_angle)
    }

    fn features(&self, theta: &[f32], sample: &Sample<'_, f32>, dropout: f32) -> Vec<f32> {
        self.layer.features(theta, sample, dropout)
    }

    fn group_gradient(
        &self,
        samples: &[Sample<'_, f32>],
        slopes: Vec<f32>,
        dropout: f32,
    ) -> Vec<f32> {
        self.layer.group_gradient(samples, slopes, dropout)
    }

    fn accumulate(
        &self,
        samples: &[Sample<'_, f32>],
        group: &[f32],
        dropout: f32,
        gradient: &mut [f32],
    ) {
        self.layer.accumulate(samples, group, dropout, gradient);
    }

    /// Signed bytes, each feature with its own unit, of the weights for inputs as they are.
    fn round(&self, weights: &mut [f32]) -> Lift {
        let rank = self.layer.scale.len();
        let mut lift = Lift { weights: Vec::new(), worth: [1.0; ROW], head: Vec::new() };
        for (row, worth) in weights.chunks_exact_mut(rank).zip(&mut lift.worth) {
            let plain = |(w, (_, deviation)): (&f32, &(f32, f32))| w / deviation;
            let folded: Vec<f32> = row.iter().zip(&self.layer.scale).map(plain).collect();
            let most = folded.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
            *worth = if most > 0.0 { most / 127.0 } else { 1.0 };
            for ((w, x), (_, deviation)) in row.iter_mut().zip(folded).zip(&self.layer.scale) {
                let byte = (x / *worth).round() as i8;
                lift.weights.push(byte);
                *w = f32::from(byte) * *worth * deviation;
            }
        }
        lift
    }

    fn round_circuit(
        shape: &Shape<Self>,
        theta: &mut [f32],
        texts: &Examples<f32>,
        rounded: &mut Lift,
    ) {
        rounding::angles(shape, theta);
        rounded.head = rounding::head(shape, theta, texts);
    }

    fn parts(&self, lift: &Lift, weights: &[f32], bias: &[f32]) -> FrontEndParts {
        let folded = fold(weights, bias, &self.layer.scale);
        let (_, bias) = folded.split_at(weights.len());
        FrontEndParts::Compact {
            kinds: self.kinds,
            pool: self.pool,
            sizes: self.sizes,
            table: self.table.clone(),
            levels: self.levels.clone(),
            lift: lift.weights.clone(),
            scale: lift.worth,
            bias: std::array::from_fn(|i| bias[i]),
            head: lift.head.clone(),
        }
    }

    fn classify<'s>(
        model: &Model<'_>,
        text: &String,
        scratch: &'s mut Scratch,
    ) -> Result<Prediction<'s>, Error> {
        model.classify(text, scratch)
    }

    fn name(_: usize, text: &String) -> String {
        text.clone()
    }

    fn design(_: &Config) -> Option<&'static str> {
        Some("compact")
    }

    fn fingerprint(&self, digest: &mut Sha256) {
        digest.update(&self.table);
        digest.update(self.levels.iter().map(|&x| x as u8).collect::<Vec<u8>>());
    }
}
