//! Tensor trains in f64: made from all coefficients, rounded, and their neighbours exchanged. Bonds are cut by singular
//! values.

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
    /// Width of the bond on each side.
    pub left: usize,
    pub dim: usize,
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
        (1..self.cores.len()).rev().for_each(|k| self.step_left(k));
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

/// Rows count as orthogonal where their cosine is under this.
const ORTHOGONAL: f64 = 1e-14;
/// Rows of this share of the matrix are rounding.
const ROUNDING: f64 = 1e-16;
/// So do those whose product is under this share of the square of the least value that matters.
const NEGLIGIBLE: f64 = 1e-3;
/// Sweeps over all pairs at most; four are usual.
const SWEEPS: usize = 40;

/// Orthonormal columns and orthogonal rows, whose product is the matrix: its rows turned until they are orthogonal, by
/// one-sided Jacobi.
///
/// Turns are applied to the rows and kept beside them, so that basis times rows is the matrix to
/// rounding whatever happens, and what is lost with a row is its length. nalgebra 0.34 has nothing to
/// offer here: its `svd` and `symmetric_eigen` give, for one matrix in thousands, factors whose product
/// differs from the matrix in the third digit (its issue 1109 has such a case).
struct Singular {
    /// Orthonormal columns, as many as the matrix has rows or columns, whichever are fewer.
    basis: DMatrix<f64>,
    /// Lengths of `rows`, falling: the singular values.
    values: Vec<f64>,
    rows: DMatrix<f64>,
}

impl Singular {
    /// Decomposes a matrix. Values under `least`, if there are such, need not be told apart, and those
    /// near it are known to its thousandth part.
    fn new(matrix: &DMatrix<f64>, least: f64) -> Self {
        // Rows of a triangle whose diagonal falls are nearly orthogonal already.
        let qr = matrix.clone().col_piv_qr();
        let mut columns = qr.r();
        qr.p().inv_permute_columns(&mut columns);
        let mut columns = columns.transpose();
        let count = columns.ncols();
        let mut turns = DMatrix::identity(count, count);
        let least = least.max(matrix.norm() * ROUNDING).powi(2);
        // Until a sweep turns nothing.
        let _ = (0..SWEEPS).find(|_| !sweep(&mut columns, &mut turns, least));
        let lengths: Vec<f64> = columns.column_iter().map(|column| column.norm()).collect();
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by(|&a, &b| lengths[b].total_cmp(&lengths[a]));
        Self {
            basis: qr.q() * turns.select_columns(&order),
            values: order.iter().map(|&i| lengths[i]).collect(),
            rows: columns.select_columns(&order).transpose(),
        }
    }
}

/// Turns every pair of columns until both are orthogonal; says whether any was turned.
fn sweep(columns: &mut DMatrix<f64>, turns: &mut DMatrix<f64>, least: f64) -> bool {
    let mut squares: Vec<f64> = columns.column_iter().map(|c| c.norm_squared()).collect();
    let mut turned = false;
    for j in 1..columns.ncols() {
        for i in 0..j {
            let (a, b) = (squares[i], squares[j]);
            if a + b <= least {
                continue;
            }
            let both = columns.column(i).dot(&columns.column(j));
            if both.abs() <= (ORTHOGONAL * (a * b).sqrt()).max(NEGLIGIBLE * least) {
                continue;
            }
            turned = true;
            // The smaller of the two angles with tan(2 angle) = 2 both / (b - a).
            let half = (b - a) / (2.0 * both);
            let tangent = half.signum() / (half.abs() + half.hypot(1.0));
            let cosine = 1.0 / tangent.hypot(1.0);
            turn(columns, (i, j), cosine, tangent * cosine);
            turn(turns, (i, j), cosine, tangent * cosine);
            (squares[i], squares[j]) = ((a - tangent * both).max(0.0), b + tangent * both);
        }
    }
    turned
}

/// Columns `i` and `j` become `cosine i - sine j` and `sine i + cosine j`.
fn turn(matrix: &mut DMatrix<f64>, (i, j): (usize, usize), cosine: f64, sine: f64) {
    let rows = matrix.nrows();
    let (low, high) = matrix.as_mut_slice().split_at_mut(j * rows);
    for (x, y) in low[i * rows..][..rows].iter_mut().zip(&mut high[..rows]) {
        (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest entry of the product less the matrix, of the basis' products less the identity, and
    /// the largest cosine of two rows.
    fn faults(matrix: &DMatrix<f64>, found: &Singular) -> [f64; 3] {
        let Singular { basis, values, rows } = found;
        let one = DMatrix::identity(basis.ncols(), basis.ncols());
        let mut cosines = rows * rows.transpose();
        for ((i, j), x) in (0..values.len())
            .flat_map(|j| (0..values.len()).map(move |i| (i, j)))
            .zip(cosines.iter_mut())
        {
            *x = if i == j { 0.0 } else { *x / (values[i] * values[j]).max(1e-300) };
        }
        [basis * rows - matrix, basis.tr_mul(basis) - one, cosines].map(|m| m.amax())
    }

    fn random(rows: usize, columns: usize, seed: u64) -> DMatrix<f64> {
        use rand::Rng;
        let mut random = crate::seed::stream(seed, "matrices of a test");
        DMatrix::from_fn(rows, columns, |_, _| random.random_range(-1.0..1.0))
    }

    #[test]
    fn a_matrix_that_others_get_wrong_is_the_product_of_its_factors() {
        // A core that came up in a random circuit; nalgebra's svd misses it by 4e-3.
        let entries = [
            [3.1930385771116953e-8, 0.11106277721431983, -1.7657268332579648e-8],
            [0.1040151953971476, -3.060157066287651e-8, -0.004386301904411101],
            [-0.0019384178120014667, -6.750743209398185e-9, -0.04596694707075086],
        ];
        let near_equal = DMatrix::from_fn(3, 3, |i, j| entries[i][j]);
        for matrix in [near_equal.transpose(), near_equal] {
            let found = Singular::new(&matrix, 0.0);
            assert!(faults(&matrix, &found).iter().all(|&f| f < 1e-14));
            let squares: f64 = found.values.iter().map(|s| s * s).sum();
            let product: f64 = found.values.iter().product();
            assert!((squares - matrix.norm_squared()).abs() < 1e-16);
            assert!((product - matrix.determinant().abs()).abs() < 1e-16);
        }
    }

    #[test]
    fn values_of_every_size_are_found() {
        for (rows, columns) in [(20, 30), (30, 20), (7, 7), (1, 5), (5, 1)] {
            let u = random(rows, rows, 1).qr().q();
            let v = random(columns, columns, 2).qr().q();
            // From 1 to 1e-9, two of them equal.
            let value = |i: usize| 10_f64.powf(-9.0 * (i.max(1) - 1) as f64 / 20.0);
            let middle =
                DMatrix::from_fn(rows, columns, |i, j| if i == j { value(i) } else { 0.0 });
            let matrix = u * middle * v;
            let found = Singular::new(&matrix, 0.0);
            let [product, basis, cosine] = faults(&matrix, &found);
            assert!(product < 1e-14 && basis < 1e-13 && cosine < 1e-13, "{product:e} {basis:e}");
            for (i, x) in found.values.iter().enumerate() {
                assert!((x - value(i)).abs() < 1e-14, "{i} {x:e}");
            }
        }
    }

    #[test]
    fn dependent_rows_and_no_rows_at_all_are_no_trouble() {
        let dependent = random(12, 3, 3) * random(3, 15, 4);
        let found = Singular::new(&dependent, 0.0);
        let [product, basis, _] = faults(&dependent, &found);
        assert!(product < 1e-14 && basis < 1e-13);
        assert!(found.values[2] > 0.1 && found.values[3] < 1e-14);
        let nothing = DMatrix::zeros(4, 3);
        let found = Singular::new(&nothing, 0.0);
        assert_eq!(found.values, [0.0; 3]);
        assert_eq!(faults(&nothing, &found)[0], 0.0);
    }

    #[test]
    fn what_is_under_the_least_value_is_the_only_thing_left_undone() {
        let u = random(20, 20, 5).qr().q();
        let value = |i: usize| 10_f64.powf(-0.5 * i as f64);
        let matrix = u * DMatrix::from_fn(20, 20, |i, j| if i == j { value(i) } else { 0.0 });
        let found = Singular::new(&matrix, 3e-6);
        assert!(faults(&matrix, &found)[0] < 1e-14);
        let kept = found.values.iter().filter(|&&s| s > 3e-6).count();
        assert_eq!(kept, (0..20).filter(|&i| value(i) > 3e-6).count());
        assert!((0..kept).all(|i| (found.values[i] / value(i) - 1.0).abs() < 1e-3));
    }
}
