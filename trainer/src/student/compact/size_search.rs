//! The settings of a compact student by search: which n-grams, how many, of how many numbers and bits.
//!
//! Parts of the training texts are held out by the texts' digests; on them each setting's regression is judged, the later
//! ones through the table that they would be written as. The circuit that is taught by the regression follows it, so it
//! is not trained here. Among what was tried the smallest file within one standard error of the best is chosen, or the
//! best within a budget.

use super::{ITERATIONS, Linear, Task, usual_penalty};
use crate::data::corpus::{Corpus, Part};
use crate::numeric::argmax;
use crate::options::Config;
use crate::student::front_end::{Examples, Mark};
use crate::student::left_out::is_wrong;
use crate::student::vocabulary::Counter;
use anyhow::{Result, bail, ensure};
use qdllm_host::terminal::Progress;
use qdllm_runtime::text::ngram::grams;
use std::time::{Duration, Instant};

/// Training texts that take part, about.
const MOST: usize = 12_000;
/// N-grams that a setting weighs at most.
const CANDIDATES: usize = 12_000;
/// Bytes of a file beside its tables, labels and head: header, directory, meta, scale, angles, rejection, provenance.
const REST: usize = 520;
/// Of 256 places by a text's digest those of texts that judge.
const JUDGES: u8 = 51;

/// Where a search ends.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the whole file at most.
    pub bytes: Option<usize>,
    pub time: Duration,
}

/// The texts as one kind of n-grams reads them: those that are learnt, and those that judge.
struct Reading {
    train: Examples<u32>,
    judge: Examples<u32>,
    /// The most telling by chi-squared.
    candidates: Vec<u32>,
}

/// A setting and how it did.
#[derive(Clone)]
struct Trial {
    config: Config,
    /// Share of the judging texts decided right.
    accuracy: f64,
    bytes: usize,
}

struct Search<'s> {
    corpus: Corpus,
    limits: Limits,
    ends: Instant,
    /// Judging texts.
    judges: f64,
    trials: Vec<Trial>,
    progress: &'s mut Progress,
}

/// The settings with the best n-grams, sizes and penalties that were found in the time given.
pub fn choose(config: &Config, limits: Limits, progress: &mut Progress) -> Result<Config> {
    let corpus = Corpus::open(&config.sources, progress)?;
    let ends = Instant::now() + limits.time;
    let mut search = Search { corpus, limits, ends, judges: 1.0, trials: Vec::new(), progress };
    let (best, reading) = search.kinds(config)?;
    let best = search.penalties(best, &reading);
    search.sizes(&best.config, &reading)?;
    search.chosen()
}

impl Search<'_> {
    fn is_over(&self) -> bool {
        Instant::now() >= self.ends
    }

    fn read(&mut self, config: &Config) -> Result<Reading> {
        let classes = self.corpus.classes.len();
        let kinds = config.gram_kinds();
        let mut counter = Counter::of_whole_hashes(classes, kinds);
        let (mut train, mut judge) = (Examples::default(), Examples::default());
        let texts: u64 = self.corpus.counts.iter().sum();
        let last = 255.min(255 * MOST / (texts as usize).max(MOST)) as u8;
        self.corpus.each("reading the texts for a trial", self.progress, |text| {
            let place = Mark::new(text.label, text.text).place;
            if text.part != Part::Train || place > last.max(JUDGES) {
                return;
            }
            let hashes = grams(text.text, kinds).map(|g| g.hash);
            if place < JUDGES.min(last / 4 + 1) {
                judge.push(hashes, text.label, text.teacher);
            } else {
                counter.add(&text);
                train.push(hashes, text.label, text.teacher);
            }
        })?;
        let candidates = counter.select(CANDIDATES);
        ensure!(
            !candidates.is_empty() && judge.count() > 0,
            "the texts are too few to search sizes with; give --no-search, or more texts"
        );
        self.judges = judge.count() as f64;
        Ok(Reading { train, judge, candidates })
    }

    /// Accuracy of the regression on as many n-grams as would ever be chosen.
    fn quick(&self, config: Config, reading: &Reading) -> Trial {
        let task = Task::new(&reading.train, &[], self.corpus.classes.len(), &config);
        let linear = Linear::fit(&task, &reading.candidates, 40);
        let accuracy = 1.0 - mean(&linear.wrong(&reading.judge));
        Trial { config, accuracy, bytes: usize::MAX }
    }

    /// The best of some kinds of n-grams; a later one must be clearly better than an earlier, plainer one.
    fn kinds(&mut self, config: &Config) -> Result<(Trial, Reading)> {
        let mut best = self.kind(config, (0, None, false))?;
        for kind @ (_, runs, bigrams) in [
            (5, None, false),
            (4, None, false),
            (6, None, false),
            (0, Some("3-5"), false),
            (0, Some("1-3"), false),
            (5, None, true),
        ] {
            if self.is_over() {
                break;
            }
            let tried = self.kind(config, kind)?;
            // Runs and pairs take many times the rows.
            let better = if runs.is_some() || bigrams { 0.01 } else { 0.0 };
            if tried.0.accuracy > best.0.accuracy + better {
                best = tried;
            }
        }
        Ok(best)
    }

    fn kind(
        &mut self,
        config: &Config,
        (stem, runs, bigrams): (u8, Option<&str>, bool),
    ) -> Result<(Trial, Reading)> {
        let mut config = config.clone();
        (config.compact.stem, config.compact.runs) = (stem, runs.map(str::to_owned));
        config.student.bigrams = bigrams;
        let reading = self.read(&config)?;
        let trial = self.quick(config, &reading);
        let what = describe(&trial.config);
        self.progress.say(&format!("  {:.4}  {what}", trial.accuracy));
        Ok((trial, reading))
    }

    /// The best penalty, and how far rare n-grams are favoured.
    fn penalties(&mut self, mut best: Trial, reading: &Reading) -> Trial {
        let config = best.config.clone();
        let texts: u64 = self.corpus.counts.iter().sum();
        let usual = usual_penalty(texts as usize, self.corpus.classes.len());
        for (penalty, power) in
            [(usual / 4.0, 0.25), (usual * 4.0, 0.25), (usual, 0.0), (usual, 0.5)]
        {
            if self.is_over() {
                break;
            }
            let mut tried = config.clone();
            (tried.compact.penalty, tried.compact.frequency_power) = (Some(penalty), power);
            let trial = self.quick(tried, reading);
            self.progress.say(&format!(
                "  {:.4}  penalty {penalty:.2}, rare n-grams favoured by {power}",
                trial.accuracy
            ));
            if trial.accuracy > best.accuracy {
                best = trial;
            }
        }
        best
    }

    /// Tries numbers of rows, of numbers a row, and of bits, through the tables as they are written.
    fn sizes(&mut self, config: &Config, reading: &Reading) -> Result<()> {
        let classes = self.corpus.classes.len();
        let task = Task::new(&reading.train, &[], classes, config);
        let ranked = task.ranked(&reading.candidates);
        let most = ranked.len().min(6000);
        let mut rows: Vec<usize> =
            [60, 120, 250, 500, 1000, 2000, 4000].into_iter().filter(|&n| n < most).collect();
        rows.push(most);
        let mut tried: Vec<(usize, u8)> = rows.iter().map(|&n| (n, 4)).collect();
        tried.extend(rows.iter().map(|&n| (n, 3)));
        for (rows, code_bits) in tried {
            if !self.trials.is_empty() && self.is_over() {
                break;
            }
            let mut config = config.clone();
            (config.student.rows, config.compact.code_bits) = (rows, code_bits);
            let linear = Linear::fit(&task, &ranked[..rows], ITERATIONS);
            let (front, head) = linear.tables(&reading.train, config.gram_kinds(), &config)?;
            let samples = reading.judge.samples();
            let wrong =
                |(vector, sample): (Vec<f32>, _)| is_wrong(argmax(&head.logits(&vector)), sample);
            let pooled = front.pooled(&reading.judge)?.into_iter();
            let wrong: Vec<f64> = pooled.zip(&samples).map(wrong).collect();
            let (rank, labels) = (task.rank, &self.corpus.classes);
            let bytes = front.table.len()
                + front.levels.len()
                + 11 * rank
                + classes * 15
                + labels.iter().map(String::len).sum::<usize>()
                + REST;
            let accuracy = 1.0 - mean(&wrong);
            self.progress.say(&format!(
                "  {accuracy:.4}  about {bytes} bytes: {rows} n-grams, {rank} x {code_bits} bits"
            ));
            self.trials.push(Trial { config, accuracy, bytes });
        }
        Ok(())
    }

    /// The best that fits the budget, or the smallest within one standard error of the best.
    fn chosen(self) -> Result<Config> {
        let fits = |trial: &&Trial| self.limits.bytes.is_none_or(|most| trial.bytes <= most);
        let better =
            |a: &&Trial, b: &&Trial| a.accuracy.total_cmp(&b.accuracy).then(b.bytes.cmp(&a.bytes));
        let Some(best) = self.trials.iter().filter(fits).max_by(better) else {
            let smallest = self.trials.iter().map(|trial| trial.bytes).min().unwrap_or(0);
            bail!(
                "--budget: the smallest file that was tried has about {smallest} bytes; give more"
            );
        };
        let error = (best.accuracy * (1.0 - best.accuracy) / self.judges).sqrt();
        let least = best.accuracy - if self.limits.bytes.is_none() { error } else { 0.0 };
        let enough = self.trials.iter().filter(fits).filter(|trial| trial.accuracy >= least);
        let Trial { config, accuracy, bytes } = enough.min_by_key(|t| t.bytes).unwrap_or(best);
        self.progress.say(&format!(
            "chosen: {}, {} n-grams, {} bits: {accuracy:.4} on held-out texts, about {bytes} bytes",
            describe(config),
            config.student.rows,
            config.compact.code_bits
        ));
        Ok(config.clone())
    }
}

fn mean(wrong: &[f64]) -> f64 {
    wrong.iter().sum::<f64>() / wrong.len().max(1) as f64
}

fn describe(config: &Config) -> String {
    let runs = config.compact.runs.as_ref().map(|runs| format!(" and runs of {runs} characters"));
    let words = match config.compact.stem {
        0 => "words".to_owned(),
        n => format!("the first {n} characters of words"),
    };
    let pairs = if config.student.bigrams { " and pairs" } else { "" };
    format!("{words}{pairs}{}", runs.unwrap_or_default())
}
