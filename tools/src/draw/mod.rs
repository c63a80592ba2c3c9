//! A circuit as text: one line a qubit, one column a moment.

pub mod svg;

use crate::circuit::{Circuit, Op};
use qdllm_runtime::circuit::gate::{GateKind, Generator};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    Label(String),
    /// A control, or one end of a symmetric phase.
    Dot,
    Plus,
    Cross,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// (row, mark); rows count from the top.
    pub marks: Vec<(usize, Mark)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    pub rows: Vec<u8>,
    pub columns: Vec<Vec<Item>>,
}

impl Layout {
    /// Places every gate in the first column where its rows, and those that its line crosses, are free.
    pub fn of(circuit: &Circuit) -> Self {
        let rows = circuit.used();
        let row = |q: u8| rows.iter().position(|&r| r == q).unwrap_or(0);
        let mut free_from = vec![0; rows.len()];
        let mut columns: Vec<Vec<Item>> = Vec::new();
        let mut put = |item: Item| {
            let (low, high) =
                item.marks.iter().fold((usize::MAX, 0), |(l, h), &(r, _)| (l.min(r), h.max(r)));
            let at = free_from[low..=high].iter().copied().max().unwrap_or(0);
            free_from[low..=high].fill(at + 1);
            if columns.len() <= at {
                columns.resize(at + 1, Vec::new());
            }
            columns[at].push(item);
        };
        for op in &circuit.ops {
            put(Item { marks: marks(op).into_iter().map(|(q, m)| (row(q), m)).collect() });
        }
        for &(q, bit) in &circuit.measures {
            put(Item { marks: vec![(row(q), Mark::Label(format!("M->c{bit}")))] });
        }
        Self { rows, columns }
    }
}

fn marks(op: &Op) -> Vec<(u8, Mark)> {
    let [a, b] = op.qubits;
    let name = op.kind.info().name;
    let angles: Vec<String> = op.angles().iter().map(|x| format!("{x:.3}")).collect();
    let label = |name: &str| {
        let text =
            if angles.is_empty() { name.into() } else { format!("{name}({})", angles.join(",")) };
        Mark::Label(text)
    };
    match (op.on().len(), op.kind.info().generator) {
        (1, _) => vec![(a, label(name))],
        (_, Generator::None) if op.kind == GateKind::Swap => {
            vec![(a, Mark::Cross), (b, Mark::Cross)]
        }
        (_, Generator::None) => vec![(a, Mark::Dot), (b, Mark::Plus)],
        (_, Generator::Phase) if angles.is_empty() => vec![(a, Mark::Dot), (b, Mark::Dot)],
        (_, Generator::Phase | Generator::Controlled(_)) => {
            vec![(a, Mark::Dot), (b, label(&name[1..]))]
        }
        // The angle is written once, at the second qubit.
        (_, Generator::Pauli(_)) => vec![(a, Mark::Label(name.into())), (b, label(name))],
    }
}

impl Mark {
    pub fn text(&self) -> &str {
        match self {
            Self::Label(text) => text,
            Self::Dot => "@",
            Self::Plus => "X",
            Self::Cross => "x",
        }
    }
}

/// The circuit as plain ASCII: `@` is a control or an end of CZ, `X` the target of CX, `x--x` an
/// exchange, `|` joins.
pub fn text(circuit: &Circuit) -> String {
    let layout = Layout::of(circuit);
    let names: Vec<String> = layout.rows.iter().map(|q| format!("q{q}: ")).collect();
    let margin = names.iter().map(String::len).max().unwrap_or(0);
    // Row r of the picture is line 2r; odd lines hold only joins.
    let mut lines: Vec<String> = Vec::new();
    for name in &names {
        lines.push(format!("{name:>margin$}"));
        lines.push(" ".repeat(margin));
    }
    lines.pop();
    for column in &layout.columns {
        let marks = column.iter().flat_map(|item| &item.marks);
        let width = marks.map(|(_, m)| m.text().len()).max().unwrap_or(1) + 2;
        let mut cells: Vec<Option<&str>> = vec![None; lines.len()];
        for item in column {
            let (low, high) =
                item.marks.iter().fold((usize::MAX, 0), |(l, h), &(r, _)| (l.min(r), h.max(r)));
            cells[2 * low..=2 * high].fill(Some("|"));
            for (row, mark) in &item.marks {
                cells[2 * row] = Some(mark.text());
            }
        }
        for (i, (line, cell)) in lines.iter_mut().zip(cells).enumerate() {
            let fill = if i % 2 == 0 { '-' } else { ' ' };
            let content = cell.unwrap_or("");
            let left = (width - content.len()) / 2;
            line.extend(std::iter::repeat_n(fill, left));
            line.push_str(content);
            line.extend(std::iter::repeat_n(fill, width - left - content.len()));
        }
    }
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[cfg(test)]
mod tests {
    use super::text;
    use crate::qasm;

    #[test]
    fn gates_stand_in_columns_and_lines_join_them() {
        let circuit = qasm::read(
            "OPENQASM 2.0; qreg q[4]; creg c[1]; h q[0]; cx q[0],q[2]; rz(0.5) q[1]; swap q[1],q[2];
             measure q[2] -> c[0];",
        )
        .unwrap();
        let expected = "\
q0: -h--@------------------
        |
q1: ----|--rz(0.500)--x----------
        |             |
q2: ----X-------------x--M->c0-
";
        let drawn = text(&circuit);
        let marks = |t: &str| -> Vec<String> {
            t.lines().map(|l| l.chars().filter(|c| !"- ".contains(*c)).collect()).collect()
        };
        assert_eq!(marks(&drawn), marks(expected), "{drawn}");
        // The bar of the CX stands under its control, and over its target.
        let lines: Vec<&str> = drawn.lines().collect();
        let at = lines[0].find('@').unwrap();
        for (line, mark) in [(1, b'|'), (2, b'|'), (3, b'|'), (4, b'X')] {
            assert_eq!(lines[line].as_bytes()[at], mark, "{drawn}");
        }
        assert!(!drawn.contains("q3"), "unused qubits are left out");
    }
}
