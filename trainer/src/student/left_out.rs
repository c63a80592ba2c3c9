//! Teachers that do harm are left out: a linear student learns from most of the labelled texts twice, with its teachers and
//! from the labels alone, and is judged on the others.
//!
//! A linear layer does as well as the circuit within noise and is trained in a fraction of the time, and what counts of a
//! teacher is what a student learns from it: one that is often right may still be too unsure of each text to learn from.

use super::Prepared;
use super::backprop::Batcher;
use super::front_end::Shape;
use super::front_end::{Examples, FrontEnd, JUDGE, Mark, Sample};
use super::train::Training;
use crate::numeric::argmax;
use crate::options::{Config, HiddenLayer};
use crate::teacher::calibration::as_good_as;
use anyhow::Result;
use qdllm_host::terminal::{Progress, note};

/// Fewer texts that judge tell nothing.
const LEAST: usize = 30;
/// Training texts that take part, about; more tell no more.
const MOST: usize = 20_000;

/// The texts of a run, and its settings without the teachers that do harm.
pub fn prepare<F: FrontEnd>(
    read: impl Fn(&Config, &mut Progress) -> Result<Prepared<F>>,
    config: &Config,
    progress: &mut Progress,
) -> Result<(Prepared<F>, Config)> {
    let mut config = config.clone();
    loop {
        let prepared = read(&config, progress)?;
        let Some([with, without]) = harm(&prepared, &config, progress)? else {
            return Ok((prepared, config));
        };
        let who = if std::mem::take(&mut config.training.regression) {
            "the regression of --regression".into()
        } else {
            let sources = &mut config.sources;
            (sources.soft, sources.soft_texts, sources.unlabelled) = (None, None, None);
            sources.soft_classes.clear();
            format!("the teacher {}", prepared.teacher.map_or(String::new(), |(info, _)| info.name))
        };
        note(format_args!(
            "warning: {who} is left out, as it does harm: of {} labelled texts held out, a linear student decides {:.4} right with it and {:.4} from the labels alone; --keep-teacher keeps it",
            with.len(),
            right(&with),
            right(&without)
        ));
    }
}

/// The share of texts decided right.
fn right(wrong: &[f64]) -> f64 {
    1.0 - wrong.iter().sum::<f64>() / wrong.len() as f64
}

/// Which of the texts that judge are decided wrongly with teachers and from labels alone, where the labels are better.
fn harm<F: FrontEnd>(
    prepared: &Prepared<F>,
    config: &Config,
    progress: &mut Progress,
) -> Result<Option<[Vec<f64>; 2]>> {
    let Prepared { texts, marks, counts, .. } = prepared;
    if let Some(judged) = &prepared.judged {
        return Ok(judged.clone().filter(|[with, without]| !as_good_as(with, without)));
    }
    if !asks(config, texts, marks, counts) {
        return Ok(None);
    }
    progress.stage("weighing the teacher", 2);
    let with = wrong(prepared, config, true)?;
    progress.at(1);
    let without = wrong(prepared, config, false)?;
    progress.done();
    Ok((!as_good_as(&with, &without)).then_some([with, without]))
}

/// Whether teachers are to be judged, and can be.
pub fn asks<T>(config: &Config, texts: &Examples<T>, marks: &[Mark], counts: &[u64]) -> bool {
    let taught = || (0..texts.count()).any(|i| texts.sample(i, None).teacher.is_some());
    let judging = marks.iter().filter(|mark| mark.judges().is_some()).count();
    // Of a class without labels only the teacher can speak.
    let spoken_for = counts.iter().all(|&count| count > 0);
    !config.training.keep_teacher && spoken_for && judging >= LEAST && taught()
}

/// The texts that a linear student learns from, and those that it is judged by.
pub fn parts<T: Copy + Default>(
    all: &Examples<T>,
    marks: &[Mark],
    teachers: bool,
) -> [Examples<T>; 2] {
    let (mut texts, mut valid) = (Examples::default(), Examples::default());
    let last = JUDGE + (256 - JUDGE) * MOST / all.count().max(MOST);
    for (i, mark) in marks.iter().enumerate() {
        let sample = all.sample(i, None);
        let input = sample.input.iter().copied();
        if mark.judges().is_some() {
            valid.push(input, mark.label, None);
        } else if usize::from(mark.place) < last && teachers {
            texts.push(input, sample.label, sample.teacher);
        } else if usize::from(mark.place) < last && mark.label.is_some() {
            texts.push(input, mark.label, None);
        }
    }
    [texts, valid]
}

/// For each text that judges 1 where a linear student is wrong, else 0.
fn wrong<F: FrontEnd>(prepared: &Prepared<F>, config: &Config, teachers: bool) -> Result<Vec<f64>> {
    let [mut texts, mut valid] = parts(&prepared.texts, &prepared.marks, teachers);
    for part in [&mut texts, &mut valid] {
        part.weights.clone_from(&prepared.texts.weights);
    }
    let shape = Shape { hidden: HiddenLayer::Linear, ..prepared.shape.clone() };
    let (theta, _) = Training::new(&shape, config, &texts, &valid).run(None, |_| {})?;
    let samples = valid.samples();
    let logits = Batcher::new(&shape, &theta, 0.0).logits(&samples);
    Ok(logits.iter().zip(&samples).map(|(z, sample)| is_wrong(argmax(z), sample)).collect())
}

/// 1 for another class than a text's label, else 0.
pub fn is_wrong<T>(class: usize, sample: &Sample<'_, T>) -> f64 {
    f64::from(u8::from(Some(class) != sample.label))
}
