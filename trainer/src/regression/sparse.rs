//! A sparse matrix by rows, with just what logistic regression needs of it.

/// Rows of `(column, value)` pairs, one after the other.
pub(crate) struct Sparse {
    starts: Vec<usize>,
    entries: Vec<(u32, f32)>,
    width: usize,
}

impl Sparse {
    /// Joins rows; every column must be below `width`.
    pub(crate) fn new(rows: &[Vec<(u32, f32)>], width: usize) -> Self {
        let mut starts = Vec::with_capacity(rows.len() + 1);
        let mut entries = Vec::with_capacity(rows.iter().map(Vec::len).sum());
        starts.push(0);
        for row in rows {
            entries.extend_from_slice(row);
            starts.push(entries.len());
        }
        Self { starts, entries, width }
    }

    pub(crate) fn height(&self) -> usize {
        self.starts.len() - 1
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    pub(crate) fn row(&self, i: usize) -> &[(u32, f32)] {
        &self.entries[self.starts[i]..self.starts[i + 1]]
    }

    /// The same matrix by columns: row `j` of the result holds column `j`, in order of the rows.
    pub(crate) fn transposed(&self) -> Self {
        let mut starts = vec![0; self.width + 1];
        for &(column, _) in &self.entries {
            starts[column as usize + 1] += 1;
        }
        for j in 0..self.width {
            starts[j + 1] += starts[j];
        }
        let mut next = starts.clone();
        let mut entries = vec![(0, 0.0); self.entries.len()];
        for i in 0..self.height() {
            let row = u32::try_from(i).unwrap_or(u32::MAX);
            for &(column, value) in self.row(i) {
                let slot = &mut next[column as usize];
                entries[*slot] = (row, value);
                *slot += 1;
            }
        }
        Self { starts, entries, width: self.height() }
    }
}

#[cfg(test)]
mod tests {
    use super::Sparse;

    #[test]
    fn transposing_swaps_rows_and_columns() {
        let rows = [vec![(0, 1.0), (2, 2.0)], vec![], vec![(2, 3.0)]];
        let columns = Sparse::new(&rows, 4).transposed();
        assert_eq!((columns.height(), columns.width()), (4, 3));
        assert_eq!(columns.row(0), [(0, 1.0)]);
        assert_eq!(columns.row(1), []);
        assert_eq!(columns.row(2), [(0, 2.0), (2, 3.0)]);
        assert_eq!(columns.row(3), []);
    }
}
