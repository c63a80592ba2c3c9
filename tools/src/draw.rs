//! A circuit as text or SVG: one line a qubit, one column a moment.

use crate::circuit::{Circuit, angles_rad, fences_at};
use qdllm_runtime::circuit::gate::{Gate, GateKind, Generator};
use std::fmt::Write as _;
use std::ops::{Range, RangeInclusive};

#[derive(Clone)]
enum Mark {
    Label(String),
    /// A control, or one end of a symmetric phase.
    Dot,
    Plus,
    Cross,
    /// One qubit of a barrier.
    Fence,
}

/// The marks of a gate, each with its row; rows count from the top.
type Item = Vec<(usize, Mark)>;

struct Layout {
    rows: Vec<u8>,
    columns: Vec<Vec<Item>>,
}

/// The rows that an item and its line take.
fn span(item: &Item) -> RangeInclusive<usize> {
    let rows = || item.iter().map(|(row, _)| *row);
    rows().min().unwrap_or(0)..=rows().max().unwrap_or(0)
}

impl Layout {
    /// Places every gate in the first column where its rows, and those that its line crosses, are free.
    fn of(circuit: &Circuit) -> Self {
        let rows = circuit.used();
        let row = |q: u8| rows.iter().position(|&r| r == q).unwrap_or(0);
        let mut free_from = vec![0; rows.len()];
        let mut columns: Vec<Vec<Item>> = Vec::new();
        let mut put = |item: Item| {
            let free = &mut free_from[span(&item)];
            let at = free.iter().copied().max().unwrap_or(0);
            free.fill(at + 1);
            if columns.len() <= at {
                columns.resize(at + 1, Vec::new());
            }
            columns[at].push(item);
        };
        for (i, gate) in circuit.gates.iter().enumerate() {
            for fence in fences_at(&circuit.barriers, i) {
                put(fence
                    .iter()
                    .filter(|q| rows.contains(q))
                    .map(|&q| (row(q), Mark::Fence))
                    .collect());
            }
            put(marks(gate).into_iter().map(|(q, m)| (row(q), m)).collect());
        }
        for &(q, bit) in &circuit.measures {
            put(vec![(row(q), Mark::Label(format!("M->c{bit}")))]);
        }
        Self { rows, columns }
    }

    /// Characters of the longest mark of each column.
    fn widths(&self) -> impl Iterator<Item = usize> {
        let longest =
            |column: &Vec<Item>| column.iter().flatten().map(|(_, m)| m.text().len()).max();
        self.columns.iter().map(move |column| longest(column).unwrap_or(1))
    }
}

fn marks(gate: &Gate) -> Vec<(u8, Mark)> {
    let ([a, b], info) = (gate.qubits, gate.kind.info());
    let name = info.name;
    let angles: Vec<String> =
        angles_rad(gate)[..info.angles].iter().map(|x| format!("{x:.3}")).collect();
    let label = |name: &str| {
        let text =
            if angles.is_empty() { name.into() } else { format!("{name}({})", angles.join(",")) };
        Mark::Label(text)
    };
    match (info.qubits, info.generator) {
        (1, _) => vec![(a, label(name))],
        (_, Generator::None) if gate.kind == GateKind::Swap => {
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
    fn text(&self) -> &str {
        match self {
            Self::Label(text) => text,
            Self::Dot => "@",
            Self::Plus => "X",
            Self::Cross => "x",
            Self::Fence => ":",
        }
    }
}

/// The circuit as plain ASCII: `@` is a control or an end of CZ, `X` the target of CX, `x--x` an
/// exchange, `:` a barrier, `|` joins. Folded where a line would have more than `width` characters.
pub fn text(circuit: &Circuit, width: usize) -> String {
    let layout = Layout::of(circuit);
    let names: Vec<String> = layout.rows.iter().map(|q| format!("q{q}: ")).collect();
    let margin = names.iter().map(String::len).max().unwrap_or(0);
    let widths: Vec<usize> = layout.widths().map(|letters| letters + 2).collect();
    let (mut parts, mut from) = (Vec::new(), 0);
    while from < widths.len() {
        let ends = widths[from..].iter().scan(margin, |end, wide| {
            *end += wide;
            Some(*end)
        });
        let fit = ends.take_while(|end| *end <= width).count().max(1);
        parts.push(lines(&layout, &names, &widths, from..from + fit));
        from += fit;
    }
    parts.join("\n")
}

/// Some columns.
fn lines(layout: &Layout, names: &[String], widths: &[usize], columns: Range<usize>) -> String {
    let margin = names.iter().map(String::len).max().unwrap_or(0);
    // Row r of the picture is line 2r; odd lines hold only joins.
    let mut lines: Vec<String> = Vec::new();
    for name in names {
        lines.push(format!("{name:>margin$}"));
        lines.push(" ".repeat(margin));
    }
    lines.pop();
    for (column, &width) in layout.columns[columns.clone()].iter().zip(&widths[columns]) {
        let mut cells = vec![""; lines.len()];
        for item in column {
            let (low, high) = span(item).into_inner();
            if !item.iter().any(|(_, mark)| matches!(mark, Mark::Fence)) {
                cells[2 * low..=2 * high].fill("|");
            }
            for (row, mark) in item {
                cells[2 * row] = mark.text();
            }
        }
        for (i, (line, cell)) in lines.iter_mut().zip(cells).enumerate() {
            let _ = match i % 2 {
                0 => write!(line, "{cell:-^width$}"),
                _ => write!(line, "{cell:^width$}"),
            };
        }
    }
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

const ROW: usize = 36;
/// Width of a character, in pixels, for the font size used.
const LETTER: usize = 7;

pub fn svg(circuit: &Circuit) -> String {
    let layout = Layout::of(circuit);
    let margin = 48;
    let widths: Vec<usize> = layout.widths().map(|letters| letters * LETTER + 18).collect();
    let (width, height) =
        (margin + widths.iter().sum::<usize>() + 12, ROW * layout.rows.len() + 12);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"monospace\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let y = |row: usize| ROW * row + ROW / 2 + 6;
    for (row, q) in layout.rows.iter().enumerate() {
        let _ = writeln!(
            out,
            "<text x=\"6\" y=\"{}\">q{q}</text><path d=\"M{margin} {}H{}\" stroke=\"black\"/>",
            y(row) + 4,
            y(row),
            width - 6
        );
    }
    let mut left = margin;
    for (column, wide) in layout.columns.iter().zip(&widths) {
        let x = left + wide / 2;
        for item in column {
            if let [(a, ref mark), (b, _)] = item[..]
                && !matches!(mark, Mark::Fence)
            {
                let _ = writeln!(out, "<path d=\"M{x} {}V{}\" stroke=\"black\"/>", y(a), y(b));
            }
            for (row, mark) in item {
                draw_mark(&mut out, mark, x, y(*row));
            }
        }
        left += wide;
    }
    out.push_str("</svg>\n");
    out
}

fn draw_mark(out: &mut String, mark: &Mark, x: usize, y: usize) {
    let _ = match mark {
        Mark::Dot => writeln!(out, "<circle cx=\"{x}\" cy=\"{y}\" r=\"4\"/>"),
        Mark::Plus => writeln!(
            out,
            "<circle cx=\"{x}\" cy=\"{y}\" r=\"8\" fill=\"white\" stroke=\"black\"/>\
             <path d=\"M{} {y}h16M{x} {}v16\" stroke=\"black\"/>",
            x - 8,
            y - 8
        ),
        Mark::Cross => {
            writeln!(out, "<path d=\"M{} {}l10 10m0 -10l-10 10\" stroke=\"black\"/>", x - 5, y - 5)
        }
        Mark::Fence => {
            let down = format!("M{x} {}v{ROW}", y - ROW / 2);
            writeln!(out, "<path d=\"{down}\" stroke=\"black\" stroke-dasharray=\"3 2\"/>")
        }
        Mark::Label(text) => {
            let wide = text.len() * LETTER + 8;
            let shown = text.replace('>', "&gt;");
            writeln!(
                out,
                "<rect x=\"{}\" y=\"{}\" width=\"{wide}\" height=\"22\" fill=\"white\" stroke=\"black\"/>\
                 <text x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{shown}</text>",
                x - wide / 2,
                y - 11,
                y + 4
            )
        }
    };
}

#[cfg(test)]
mod tests {
    use super::{svg, text};
    use crate::circuit::read;

    #[test]
    fn gates_stand_in_columns_and_lines_join_them() {
        let circuit = read(
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
        let drawn = text(&circuit, usize::MAX);
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

    #[test]
    fn drawings_fold_and_barriers_stand_where_they_are() {
        let circuit = read(
            "OPENQASM 2.0; qreg q[3]; h q[0]; h q[0]; barrier q[0],q[2]; h q[0]; h q[2]; cx q[0],q[2];",
        );
        let circuit = circuit.unwrap();
        let whole = text(&circuit, usize::MAX);
        assert_eq!(
            whole, "q0: -h--h--:--h--@-\n                 |\nq2: -------:--h--X-\n",
            "{whole}"
        );
        let folded = text(&circuit, 13);
        assert!(folded.lines().all(|line| line.len() <= 13), "{folded}");
        assert_eq!(folded.matches("q0: ").count(), 2, "{folded}");
        assert_eq!(folded.matches('h').count(), 4);
        // A column wider than the line stands alone.
        assert_eq!(text(&circuit, 1).matches("q0: ").count(), 5);
        assert_eq!(svg(&circuit).matches("dasharray").count(), 2);
    }

    #[test]
    fn every_gate_is_drawn_once_and_tags_close() {
        let circuit = read(
            "OPENQASM 2.0; qreg q[2]; creg c[1]; h q[0]; cx q[0],q[1]; cz q[0],q[1]; measure q[0] -> c[0];",
        )
        .unwrap();
        let drawn = svg(&circuit);
        // One dot for the control, two for CZ, one ring for the target.
        assert_eq!(drawn.matches("r=\"4\"").count(), 3);
        assert_eq!(drawn.matches("r=\"8\"").count(), 1);
        assert!(drawn.contains(">h</text>") && drawn.contains("M-&gt;c0"));
        assert!(!drawn.contains("M->c0"));
        assert_eq!(drawn.matches("<svg").count(), drawn.matches("</svg>").count());
        assert_eq!(drawn.matches("<text").count(), drawn.matches("</text>").count());
    }
}
