//! Tensor trains in f64: made from all coefficients, rounded, and their neighbours exchanged.

use super::svd::Singular;
use crate::compile::coefficients::Coefficients;
use nalgebra::DMatrix;

/// What a core's own index runs over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// (1, cosine, sine) of a qubit's angle, or three independent functions of it.
    Qubit(usize),
    Leg,
}

/// One core: entry (a, i, b) at `(a * dim + i) * right + b`.
#[derive(Clone, Debug)]
pub struct Core {
    pub mode: Mode,
    /// Width of the bond to the left.
    pub left: usize,
    pub dim: usize,
    /// Width of the bond to the right.
    pub right: usize,
    pub data: Vec<f64>,
}

impl Core {
    /// As a matrix of (a, i) by b.
    pub fn tall(&self) -> DMatrix<f64> {
        DMatrix::from_row_slice(self.left * self.dim, self.right, &self.data)
    }

    /// As a matrix of a by (i, b).
    pub fn wide(&self) -> DMatrix<f64> {
        DMatrix::from_row_slice(self.left, self.dim * self.right, &self.data)
    }

    pub fn entry(&self, a: usize, i: usize, b: usize) -> f64 {
        self.data[(a * self.dim + i) * self.right + b]
    }

    fn set_tall(&mut self, matrix: &DMatrix<f64>) {
        self.right = matrix.ncols();
        self.data = matrix.transpose().data.into();
    }

    fn set_wide(&mut self, matrix: &DMatrix<f64>) {
        self.left = matrix.nrows();
        self.data = matrix.transpose().data.into();
    }

    /// The core whose row (a) is a mixture of this one's rows by `matrix`.
    pub fn mix_left(&mut self, matrix: &DMatrix<f64>) {
        self.set_wide(&(matrix * self.wide()));
    }

    /// The core times `matrix` on its right bond.
    pub fn mix_right(&mut self, matrix: &DMatrix<f64>) {
        self.set_tall(&(self.tall() * matrix));
    }
}

/// A chain of cores; both outer bonds have width 1.
#[derive(Clone, Debug)]
pub struct Chain {
    pub cores: Vec<Core>,
}

impl Chain {
    /// The train of a tensor of coefficients with its modes in the given order; singular values under
    /// `threshold` are dropped. Every core but the last is left with orthonormal columns.
    pub fn new(tensor: &Coefficients, modes: &[Mode], threshold: f64) -> Self {
        let dim = |mode| dim(mode, tensor.classes);
        let places = places(tensor.classes, modes);
        let mut rest: Vec<f64> = places.iter().map(|&at| tensor.values[at]).collect();
        let mut cores = Vec::new();
        let mut left = 1;
        for (k, &mode) in modes.iter().enumerate() {
            let rows = left * dim(mode);
            if k + 1 == modes.len() {
                cores.push(Core { mode, left, dim: dim(mode), right: 1, data: rest });
                break;
            }
            // Column j of this matrix is row j of the unfolding; its triangle has the same singular
            // values, and is small.
            let columns = DMatrix::from_vec(rest.len() / rows, rows, rest);
            let triangle = columns.clone().qr().unpack_r();
            let (basis, _) = split(&triangle.transpose(), threshold, usize::MAX);
            rest = (columns * &basis).as_slice().to_vec();
            let mut core = Core { mode, left, dim: dim(mode), right: 0, data: Vec::new() };
            core.set_tall(&basis);
            left = core.right;
            cores.push(core);
        }
        Self { cores }
    }

    /// The coefficients of a chain in (1, cosine, sine) of all its qubits, with its leg.
    pub fn coefficients(&self) -> Coefficients {
        let (qubits, modes) = (self.cores.len() - 1, self.modes());
        let classes = self.cores[self.leg()].dim;
        // Columns run over the values of all modes so far, rows over the bond.
        let mut done = DMatrix::from_element(1, 1, 1.0);
        for core in &self.cores {
            let next = core.wide().transpose() * &done;
            done = DMatrix::from_vec(core.right, done.ncols() * core.dim, next.data.into());
        }
        let mut values = vec![0.0; done.len()];
        places(classes, &modes).iter().zip(&done).for_each(|(&at, &x)| values[at] = x);
        Coefficients { qubits, classes, values }
    }

    pub fn modes(&self) -> Vec<Mode> {
        self.cores.iter().map(|core| core.mode).collect()
    }

    /// Makes every core but the first orthonormal by rows.
    pub fn centre_at_first(&mut self) {
        for k in (1..self.cores.len()).rev() {
            self.step_left(k);
        }
    }

    /// Makes every core but the leg's orthonormal, seen from the nearer end.
    pub fn centre_at_leg(&mut self) {
        self.centre_at_first();
        for k in 0..self.leg() {
            self.step_right(k);
        }
    }

    /// Moves the centre from core `k` to the one before it.
    pub fn step_left(&mut self, k: usize) {
        let qr = self.cores[k].wide().transpose().qr();
        self.cores[k].set_wide(&qr.q().transpose());
        self.cores[k - 1].mix_right(&qr.r().transpose());
    }

    /// Moves the centre from core `k` to the one after it.
    pub fn step_right(&mut self, k: usize) {
        let qr = self.cores[k].tall().qr();
        self.cores[k].set_tall(&qr.q());
        self.cores[k + 1].mix_left(&qr.r());
    }

    /// Drops singular values under `threshold` at every bond, and those beyond `widest`; the centre
    /// goes to the last core.
    pub fn round(&mut self, threshold: f64, widest: usize) {
        self.centre_at_first();
        for k in 0..self.cores.len() - 1 {
            let (basis, rest) = split(&self.cores[k].tall(), threshold, widest);
            self.cores[k].set_tall(&basis);
            self.cores[k + 1].mix_left(&rest);
        }
    }

    /// With the centre at core `k`: exchanges it with the next where that narrows the bond between
    /// them; the centre goes to core `k + 1`. Says whether it exchanged them.
    pub fn exchange(&mut self, k: usize, threshold: f64) -> bool {
        let (one, two) = (&self.cores[k], &self.cores[k + 1]);
        let (left, d, e, right) = (one.left, one.dim, two.dim, two.right);
        let joint = one.tall() * two.wide();
        // From (a, i) x (j, b) to (a, j) x (i, b).
        let crossed = DMatrix::from_fn(left * e, d * right, |row, column| {
            let (a, j, i, b) = (row / e, row % e, column / right, column % right);
            joint[(a * d + i, j * right + b)]
        });
        let (straight, other) = [&joint, &crossed].map(|m| split(m, threshold, usize::MAX)).into();
        let better = other.0.ncols() < straight.0.ncols();
        let (basis, rest) = if better { other } else { straight };
        if better {
            self.cores.swap(k, k + 1);
        }
        self.cores[k].left = left;
        self.cores[k].set_tall(&basis);
        self.cores[k + 1].right = right;
        self.cores[k + 1].set_wide(&rest);
        better
    }

    pub fn bonds(&self) -> Vec<usize> {
        self.cores[1..].iter().map(|core| core.left).collect()
    }

    /// Multiply-adds of a contraction with unit rows left out, `outputs` numbers coming out.
    pub fn multiply_adds(&self, outputs: usize) -> usize {
        let leg = self.leg();
        let cores = self.cores.iter().enumerate().map(|(k, core)| {
            let (from, to) =
                if k < leg { (core.left, core.right) } else { (core.right, core.left) };
            match core.mode {
                Mode::Leg => outputs * core.left * (core.right + 1),
                Mode::Qubit(_) => 2 * from + (3 * from).saturating_sub(to) * to,
            }
        });
        cores.sum()
    }

    /// The place of the classes' core.
    pub fn leg(&self) -> usize {
        self.cores.iter().position(|core| core.mode == Mode::Leg).unwrap_or(0)
    }
}

fn dim(mode: Mode, classes: usize) -> usize {
    match mode {
        Mode::Qubit(_) => 3,
        Mode::Leg => classes,
    }
}

/// Places of the coefficients when the modes stand in a given order, the first slowest.
fn places(classes: usize, modes: &[Mode]) -> Vec<usize> {
    let stride = |mode: Mode| match mode {
        Mode::Qubit(q) => 3_usize.pow(q as u32) * classes,
        Mode::Leg => 1,
    };
    modes.iter().fold(vec![0], |places, &mode| {
        let next = |at| (0..dim(mode, classes)).map(move |i| at + i * stride(mode));
        places.into_iter().flat_map(next).collect()
    })
}

/// A matrix as orthonormal columns times the rest, its singular values above the threshold kept (at
/// least one, at most `widest`).
fn split(matrix: &DMatrix<f64>, threshold: f64, widest: usize) -> (DMatrix<f64>, DMatrix<f64>) {
    let Singular { basis, values, rows } = Singular::new(matrix, threshold);
    let kept = values.iter().filter(|&&s| s > threshold).count().clamp(1, widest);
    (basis.columns(0, kept).into_owned(), rows.rows(0, kept).into_owned())
}
