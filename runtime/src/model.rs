//! A model borrowed from its file.

mod classify;

#[cfg(feature = "_integer")]
pub use classify::{Probabilities, ProbabilitiesFor};
#[cfg(feature = "statevector")]
pub use classify::{Scratch, ScratchFor};
#[cfg(feature = "statevector-i16")]
pub use classify::{ScratchI16, ScratchI16For};

use crate::circuit::program::Program;
#[cfg(feature = "alloc")]
use crate::compiled::Measured;
#[cfg(feature = "polynomial")]
use crate::compiled::polynomial::Polynomial;
#[cfg(feature = "tensor-train")]
use crate::compiled::tensor_train::TensorTrain;
use crate::error::{COMPACT, Error};
use crate::format::container::{Container, Kind};
use crate::format::floats::Floats;
use crate::format::meta::{FrontEnd, MAX_CLASSES, Meta, Preset, Source, TOKEN_RULES, Texts};
use crate::head::{Head, Weights};
use crate::integer::float::from_q30;
use crate::reject::Rejection;
#[cfg(feature = "compact")]
use crate::text::compact::Compact;
use crate::text::ngram::GramKinds;
#[cfg(feature = "compact")]
use crate::text::ngram::LONGEST_RUN;
use crate::text::pool::{Pool, ROW, Rows};
use crate::text::vocabulary::Vocabulary;

/// A validated model; copies nothing out of the bytes that it was given.
#[derive(Clone, Copy, Debug)]
pub struct Model<'a> {
    container: Container<'a>,
    pub(crate) meta: Meta,
    labels: &'a [u8],
    pub(crate) front: Tables<'a>,
    pub(crate) program: Program<'a>,
    pub(crate) head: Head<'a>,
    #[cfg(feature = "reject")]
    rejection: Option<Rejection<'a>>,
    /// In 1/65536; empty where the file does not say.
    shares: &'a [[u8; 2]],
    #[cfg(feature = "polynomial")]
    polynomial: Option<Polynomial<'a>>,
    #[cfg(feature = "tensor-train")]
    train: Option<TensorTrain<'a>>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Tables<'a> {
    /// Vocabulary, rows, and the scale and bias of each dimension.
    Words { kinds: GramKinds, pool: Pool, vocab: Vocabulary<'a>, rows: Rows<'a>, scale: Floats<'a> },
    /// The tables, and the scale and bias of each feature.
    #[cfg(feature = "compact")]
    Compact { kinds: GramKinds, pool: Pool, tables: Compact<'a>, scale: Floats<'a> },
    /// 11 x inputs weights, then 11 biases.
    Dense { inputs: usize, table: Floats<'a> },
}

impl<'a> Model<'a> {
    /// Reads a model from exactly its bytes.
    ///
    /// # Errors
    /// [`Error`] says what is wrong with the first thing that is.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let container = Container::parse(bytes)?;
        let meta = Meta::parse(container.need(Kind::Meta)?)?;
        let classes = meta.classes as usize;
        if !(2..=MAX_CLASSES).contains(&classes) {
            return Err(Error::BadClassCount);
        }
        let labels = container.need(Kind::Labels)?;
        let _names = Texts::parse(labels, Some(classes))?;
        #[cfg(feature = "alloc")]
        _names.check_names()?;
        let program = match container.get(Kind::Angles).filter(|_| COMPACT) {
            Some(angles) => Program::paper(angles)?,
            None => Program::parse(container.need(Kind::Program)?)?,
        };
        let table = match container.get(Kind::SmallHead) {
            #[cfg(feature = "compact")]
            Some(section) => Weights::small(section, classes, program.outputs())?,
            _ => Weights::floats(container.need(Kind::Head)?, classes, program.outputs())?,
        };
        let head = Head::new(table, meta.temperature, meta.reject_below)?;
        let front = Tables::parse(&container, meta.front)?;
        #[cfg(feature = "reject")]
        let rejection = match container.get(Kind::Rejection) {
            Some(section) => Some(Rejection::parse(section)?),
            None => None,
        };
        let shares = shares(container.get(Kind::Shares).unwrap_or_default(), classes)?;
        #[cfg(feature = "polynomial")]
        let polynomial = match container.get(Kind::Polynomial) {
            Some(section) => Some(Polynomial::parse(section, classes, program.qubits())?),
            None => None,
        };
        #[cfg(feature = "tensor-train")]
        let train = match container.get(Kind::TensorTrain) {
            Some(section) => Some(TensorTrain::parse(section, classes, program.qubits())?),
            None => None,
        };
        #[cfg(feature = "alloc")]
        if let Some(section) = container.get(Kind::StatevectorI16) {
            Measured::parse(section)?;
        }
        Ok(Self {
            container,
            meta,
            labels,
            front,
            program,
            head,
            #[cfg(feature = "reject")]
            rejection,
            shares,
            #[cfg(feature = "polynomial")]
            polynomial,
            #[cfg(feature = "tensor-train")]
            train,
        })
    }

    /// Reads a model from the front of a longer region, such as a flash partition.
    ///
    /// # Errors
    /// As [`parse`](Self::parse); [`Error::LengthMismatch`] if the model is longer than the region.
    pub fn from_region(region: &'a [u8]) -> Result<Self, Error> {
        let length = Container::stated_length(region)?;
        Self::parse(region.get(..length).ok_or(Error::LengthMismatch)?)
    }

    /// The compiled polynomial, if the file carries it.
    #[cfg(feature = "polynomial")]
    pub fn polynomial(&self) -> Option<Polynomial<'a>> {
        self.polynomial
    }

    /// The compiled tensor train, if the file carries it.
    #[cfg(feature = "tensor-train")]
    pub fn tensor_train(&self) -> Option<TensorTrain<'a>> {
        self.train
    }

    /// What was measured of the circuit in 16-bit integers, if the file states it.
    #[cfg(feature = "alloc")]
    pub fn measured_i16(&self) -> Option<Measured> {
        self.container.get(Kind::StatevectorI16).and_then(|s| Measured::parse(s).ok())
    }

    /// Classes of the model.
    pub fn classes(&self) -> usize {
        self.meta.classes as usize
    }

    /// Writes the classes' shares of the training data over `probabilities`, if the file states them.
    pub(crate) fn write_shares(&self, probabilities: &mut [f32]) {
        for (p, share) in probabilities.iter_mut().zip(self.shares) {
            *p = from_q30(i32::from(u16::from_le_bytes(*share)) << 14);
        }
    }

    /// The name of a class; empty for a class that the model does not have.
    pub fn label(&self, class: usize) -> &'a str {
        Texts::parse(self.labels, None).ok().and_then(|mut all| all.nth(class)).unwrap_or("")
    }

    /// Bytes of the model file.
    pub fn len_bytes(&self) -> usize {
        self.container.bytes().len()
    }

    /// The sections as they lie in the file.
    pub fn container(&self) -> &Container<'a> {
        &self.container
    }

    /// Sizes and settings.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// The fused circuit.
    pub fn program(&self) -> &Program<'a> {
        &self.program
    }

    /// The head.
    pub fn head(&self) -> &Head<'a> {
        &self.head
    }

    /// The rule by which it tells foreign texts, if the file carries one.
    pub fn rejection(&self) -> Option<Rejection<'a>> {
        #[cfg(feature = "reject")]
        return self.rejection;
        #[cfg(not(feature = "reject"))]
        None
    }

    /// Which n-grams a model of texts counts.
    pub fn kinds(&self) -> Option<GramKinds> {
        match self.front {
            Tables::Words { kinds, .. } => Some(kinds),
            #[cfg(feature = "compact")]
            Tables::Compact { kinds, .. } => Some(kinds),
            Tables::Dense { .. } => None,
        }
    }

    /// Whether the model has a row for an n-gram's hash; a compact table takes a few foreign ones for its own.
    pub fn knows(&self, hash: u32) -> bool {
        match &self.front {
            Tables::Words { vocab, .. } => vocab.row(hash).is_some(),
            #[cfg(feature = "compact")]
            Tables::Compact { tables, .. } => tables.knows(hash),
            Tables::Dense { .. } => false,
        }
    }

    /// The format version of the file.
    pub fn version(&self) -> u16 {
        self.container.version()
    }

    /// The circuit by its named angles, if the file carries it.
    pub fn source(&self) -> Option<Source<'a, Preset>> {
        self.container.get(Kind::Source).and_then(|section| Source::parse(section).ok())
    }

    /// The circuit as QASM with its named angles, if the file carries it.
    pub fn qasm(&self) -> Option<Source<'a, &'a str>> {
        self.container.get(Kind::Qasm).and_then(|section| Source::parse(section).ok())
    }

    /// Where the model comes from, as (name, value) pairs; empty if the file does not say.
    pub fn provenance(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let section = self.container.get(Kind::Provenance).unwrap_or(&[0]);
        let mut texts = Texts::parse(section, None).ok();
        core::iter::from_fn(move || {
            let texts = texts.as_mut()?;
            Some((texts.next()?, texts.next()?))
        })
    }
}

/// One share a class, together 1; or none.
fn shares(section: &[u8], classes: usize) -> Result<&[[u8; 2]], Error> {
    let (shares, rest) = section.as_chunks();
    let sum: u32 = shares.iter().map(|share| u32::from(u16::from_le_bytes(*share))).sum();
    let whole = shares.len() == classes && rest.is_empty() && sum == 1 << 16;
    if section.is_empty() || whole { Ok(shares) } else { Err(Error::BadMeta) }
}

/// A build for the first rules refuses bits of later ones, whatever rules are stated: no n-gram that the file counts on is
/// left out in silence.
fn check_rules(token_rules: u8, kinds: GramKinds) -> Result<(), Error> {
    let newest = token_rules.max(kinds.token_rules());
    if token_rules == 0 || newest > TOKEN_RULES || !kinds.are_known() {
        return Err(Error::UnsupportedVersion);
    }
    if newest > token_rules { Err(Error::BadMeta) } else { Ok(()) }
}

impl<'a> Tables<'a> {
    fn parse(container: &Container<'a>, front: FrontEnd) -> Result<Self, Error> {
        match front {
            FrontEnd::Words { token_rules, kinds, pool, rows, bucket_bits, row_bits } => {
                check_rules(token_rules, kinds)?;
                let count = rows as usize;
                let (ends, keys) = (container.need(Kind::Buckets)?, container.need(Kind::Keys)?);
                let vocab = Vocabulary::parse(bucket_bits, count, ends, keys)?;
                let rows = Rows::parse(row_bits, count, container.need(Kind::Rows)?)?;
                let scale = Floats::parse(container.need(Kind::Scale)?, 2 * ROW, Error::BadRows)?;
                Ok(Self::Words { kinds, pool, vocab, rows, scale })
            }
            #[cfg(feature = "compact")]
            FrontEnd::Compact { token_rules, kinds, cut, runs, pool, sizes } => {
                check_rules(token_rules, kinds)?;
                if runs.longest as usize > LONGEST_RUN || runs.shortest > runs.longest {
                    return Err(Error::BadMeta);
                }
                let kinds = GramKinds { cut, runs, ..kinds };
                let [table, levels, lift] = [Kind::Table, Kind::Levels, Kind::Lift];
                let tables =
                    [container.need(table)?, container.need(levels)?, container.need(lift)?];
                let tables = Compact::parse(sizes, tables)?;
                let scale = Floats::parse(container.need(Kind::Scale)?, 2 * ROW, Error::BadRows)?;
                Ok(Self::Compact { kinds, pool, tables, scale })
            }
            #[cfg(not(feature = "compact"))]
            FrontEnd::Compact { .. } => Err(Error::UnsupportedVersion),
            FrontEnd::Dense { inputs } => {
                let count = inputs as usize;
                if count == 0 {
                    return Err(Error::BadMeta);
                }
                let section = container.need(Kind::Dense)?;
                let table = Floats::parse(section, ROW * (count + 1), Error::BadDense)?;
                Ok(Self::Dense { inputs: count, table })
            }
        }
    }
}
