//! Training and validation texts as a front end reads them, with labels and soft labels, one after the other in memory:
//! about 40 bytes a short text for `words`.

/// One text as the student sees it.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a, T> {
    /// What the front end reads of it: vocabulary rows in order and with repeats, or a vector.
    pub input: &'a [T],
    pub label: Option<usize>,
    /// The teacher's logits, if it was asked.
    pub teacher: Option<&'a [f32]>,
    /// Drives what is dropped in this pass; `None` drops nothing.
    pub dropout_key: Option<u64>,
}

const NO_LABEL: u8 = u8::MAX;
const NO_TEACHER: u32 = u32::MAX;

#[derive(Debug)]
pub struct Examples<T> {
    classes: usize,
    ends: Vec<usize>,
    inputs: Vec<T>,
    labels: Vec<u8>,
    teacher_at: Vec<u32>,
    teacher: Vec<f32>,
}

impl<T> Examples<T> {
    pub fn new(classes: usize) -> Self {
        Self {
            classes,
            ends: Vec::new(),
            inputs: Vec::new(),
            labels: Vec::new(),
            teacher_at: Vec::new(),
            teacher: Vec::new(),
        }
    }

    pub fn push(
        &mut self,
        input: impl IntoIterator<Item = T>,
        label: Option<usize>,
        teacher: Option<&[f32]>,
    ) {
        self.inputs.extend(input);
        self.ends.push(self.inputs.len());
        self.labels.push(label.map_or(NO_LABEL, |l| l as u8));
        self.teacher_at.push(match teacher {
            Some(logits) => {
                let at = self.teacher.len() / self.classes;
                self.teacher.extend_from_slice(logits);
                at as u32
            }
            None => NO_TEACHER,
        });
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The inputs of all texts, one text after the other.
    pub fn inputs_mut(&mut self) -> &mut [T] {
        &mut self.inputs
    }

    /// Text `i` for a batch; `dropout_key` as in [`Sample`].
    pub fn sample(&self, i: usize, dropout_key: Option<u64>) -> Sample<'_, T> {
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        let at = self.teacher_at[i] as usize * self.classes;
        Sample {
            input: &self.inputs[start..self.ends[i]],
            label: (self.labels[i] != NO_LABEL).then_some(self.labels[i] as usize),
            teacher: (self.teacher_at[i] != NO_TEACHER)
                .then(|| &self.teacher[at..at + self.classes]),
            dropout_key,
        }
    }

    pub fn samples(&self) -> Vec<Sample<'_, T>> {
        (0..self.len()).map(|i| self.sample(i, None)).collect()
    }
}
