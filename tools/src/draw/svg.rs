//! A circuit as SVG, from the same columns as the text.

use crate::circuit::Circuit;
use crate::draw::{Layout, Mark};
use std::fmt::Write as _;

const ROW: usize = 36;
/// Width of a character, in pixels, for the font size used.
const LETTER: usize = 7;

pub fn svg(circuit: &Circuit) -> String {
    let layout = Layout::of(circuit);
    let margin = 48;
    let widths: Vec<usize> = layout
        .columns
        .iter()
        .map(|column| {
            let letters = column.iter().flat_map(|i| &i.marks).map(|(_, m)| m.text().len());
            letters.max().unwrap_or(1) * LETTER + 18
        })
        .collect();
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
            if let [(a, _), (b, _)] = item.marks[..] {
                let _ = writeln!(out, "<path d=\"M{x} {}V{}\" stroke=\"black\"/>", y(a), y(b));
            }
            for (row, mark) in &item.marks {
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
    use super::svg;
    use crate::qasm;

    #[test]
    fn every_gate_is_drawn_once_and_tags_close() {
        let circuit = qasm::read(
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
