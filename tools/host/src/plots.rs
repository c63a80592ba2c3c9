//! Plots as SVG: panels with axes, series with error bars, one legend. Light or dark follows the reader's setting.

use std::fmt::Write as _;

/// One axis: its range, whether values go by their logarithm, its marks and their text.
#[derive(Clone, Debug)]
pub struct Axis {
    pub range: (f64, f64),
    pub logarithmic: bool,
    pub ticks: Vec<(f64, String)>,
    pub title: String,
}

impl Axis {
    /// Where a value stands between the ends, 0 to 1; what lies outside stands at the edge.
    fn place(&self, value: f64) -> f64 {
        let by = |v: f64| if self.logarithmic { v.max(1e-12).log10() } else { v };
        let (low, high) = (by(self.range.0), by(self.range.1));
        if high > low { ((by(value) - low) / (high - low)).clamp(0.0, 1.0) } else { 0.5 }
    }
}

/// A point and half the length of its error bar.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    pub x: f64,
    pub y: f64,
    pub error: f64,
}

#[derive(Clone, Debug)]
pub struct Series {
    pub name: String,
    /// Number of its colour and sign, the same in every panel.
    pub style: usize,
    pub joined: bool,
    pub points: Vec<Point>,
}

#[derive(Clone, Debug)]
pub struct Panel {
    pub title: String,
    pub x: Axis,
    pub y: Axis,
    pub series: Vec<Series>,
}

const WIDTH: f64 = 430.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 56.0;
const TOP: f64 = 34.0;
const RIGHT: f64 = WIDTH - 28.0;
const BOTTOM: f64 = HEIGHT - 46.0;
const ACROSS: usize = 2;
const LEGEND_LINE: f64 = 18.0;

/// Legible on white and on near-black, and apart from each other to most colour-blind readers.
const COLOURS: [&str; 8] =
    ["#3b82f6", "#e0552f", "#17a673", "#b3811a", "#a855f7", "#0f9fb5", "#d6459a", "#7d8590"];

const STYLE: &str = "<style>.paper{fill:#fff}.ink{fill:#1f2328}.soft{fill:#59636e}.rule{stroke:#d1d9e0}.axis{stroke:#59636e}\
    @media (prefers-color-scheme: dark){.paper{fill:#0d1117}.ink{fill:#e6edf3}.soft{fill:#9198a1}.rule{stroke:#2f353d}.axis{stroke:#9198a1}}</style>\n";

/// A figure of panels with one legend below.
pub fn figure(panels: &[Panel]) -> String {
    let across = panels.len().clamp(1, ACROSS);
    let mut legend: Vec<(usize, &str)> =
        panels.iter().flat_map(|p| &p.series).map(|s| (s.style, s.name.as_str())).collect();
    legend.sort_unstable();
    legend.dedup();
    let columns = if across == 1 { 2 } else { 3 };
    let width = across as f64 * WIDTH;
    let plots = panels.len().div_ceil(ACROSS).max(1) as f64 * HEIGHT;
    let height = plots + 16.0 + legend.len().div_ceil(columns) as f64 * LEGEND_LINE;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" font-family=\"system-ui, sans-serif\" font-size=\"11\">\n"
    );
    out += STYLE;
    let _ = writeln!(out, "<rect class=\"paper\" width=\"{width}\" height=\"{height}\"/>");
    for (i, panel) in panels.iter().enumerate() {
        let (x, y) = ((i % ACROSS) as f64 * WIDTH, (i / ACROSS) as f64 * HEIGHT);
        let _ = writeln!(out, "<g transform=\"translate({x} {y})\">");
        draw(&mut out, panel);
        out += "</g>\n";
    }
    for (i, (style, name)) in legend.into_iter().enumerate() {
        let x = 20.0 + (i % columns) as f64 * ((width - 20.0) / columns as f64);
        let y = plots + 12.0 + (i / columns) as f64 * LEGEND_LINE;
        sign(&mut out, style, x, y);
        let at = format!("class=\"ink\" x=\"{:.1}\" y=\"{:.1}\"", x + 10.0, y + 4.0);
        text(&mut out, &at, name);
    }
    out + "</svg>\n"
}

fn draw(out: &mut String, panel: &Panel) {
    let at_x = |v: f64| LEFT + panel.x.place(v) * (RIGHT - LEFT);
    let at_y = |v: f64| BOTTOM - panel.y.place(v) * (BOTTOM - TOP);
    let soft = |x: f64, y: f64, anchor: &str| {
        format!("class=\"soft\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\"")
    };
    let line = |out: &mut String, class: &str, [x1, x2, y1, y2]: [&str; 4]| {
        let ends = format!("x1=\"{x1}\" x2=\"{x2}\" y1=\"{y1}\" y2=\"{y2}\"");
        let _ = writeln!(out, "<line class=\"{class}\" {ends}/>");
    };
    let [left, right, bottom] = [LEFT, RIGHT, BOTTOM].map(|v| v.to_string());
    let title = format!("class=\"ink\" x=\"{LEFT}\" y=\"20\" font-size=\"13\" font-weight=\"600\"");
    text(out, &title, &panel.title);
    for (value, name) in &panel.y.ticks {
        let y = at_y(*value);
        let across = format!("{y:.1}");
        line(out, "rule", [&left, &right, &across, &across]);
        text(out, &soft(LEFT - 6.0, y + 4.0, "end"), name);
    }
    for (value, name) in &panel.x.ticks {
        let x = at_x(*value);
        let down = format!("{x:.1}");
        line(out, "axis", [&down, &down, &bottom, &format!("{:.1}", BOTTOM + 4.0)]);
        text(out, &soft(x, BOTTOM + 17.0, "middle"), name);
    }
    line(out, "axis", [&left, &right, &bottom, &bottom]);
    text(out, &soft(f64::midpoint(LEFT, RIGHT), HEIGHT - 12.0, "middle"), &panel.x.title);
    let turned = format!("translate(14 {:.1}) rotate(-90)", f64::midpoint(TOP, BOTTOM));
    let at = format!("class=\"soft\" transform=\"{turned}\" text-anchor=\"middle\"");
    text(out, &at, &panel.y.title);
    for series in &panel.series {
        let colour = COLOURS[series.style % COLOURS.len()];
        if series.joined && series.points.len() > 1 {
            let at = |p: &Point| format!("{:.1},{:.1}", at_x(p.x), at_y(p.y));
            let path = series.points.iter().map(at).collect::<Vec<_>>().join(" ");
            let _ = writeln!(
                out,
                "<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>"
            );
        }
        for p in &series.points {
            let (x, y) = (at_x(p.x), at_y(p.y));
            if p.error > 0.0 {
                let (low, high, left) = (at_y(p.y - p.error), at_y(p.y + p.error), x - 3.0);
                let _ = writeln!(
                    out,
                    "<path d=\"M{x:.1} {low:.1}V{high:.1}M{left:.1} {low:.1}h6M{left:.1} {high:.1}h6\" stroke=\"{colour}\" fill=\"none\"/>"
                );
            }
            sign(out, series.style, x, y);
        }
    }
}

fn text(out: &mut String, attributes: &str, text: &str) {
    let _ = writeln!(out, "<text {attributes}>{}</text>", escape(text));
}

/// A circle, square, diamond or triangle, from the sixth style on hollow, so that one seen through another tells both.
fn sign(out: &mut String, style: usize, x: f64, y: f64) {
    let colour = COLOURS[style % COLOURS.len()];
    let paint = match style > 4 {
        true => format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\""),
        false => format!("fill=\"{colour}\""),
    };
    let _ = match style % 4 {
        0 => writeln!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" {paint}/>"),
        1 => writeln!(out, "<path d=\"M{:.1} {:.1}h8v8h-8z\" {paint}/>", x - 4.0, y - 4.0),
        2 => writeln!(out, "<path d=\"M{x:.1} {:.1}l5 5l-5 5l-5 -5z\" {paint}/>", y - 5.0),
        _ => writeln!(out, "<path d=\"M{x:.1} {:.1}l5 8h-10z\" {paint}/>", y - 5.0),
    };
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_even_steps() {
        let axis =
            Axis { range: (1e2, 1e6), logarithmic: true, ticks: Vec::new(), title: String::new() };
        assert!((axis.place(1e4) - 0.5).abs() < 1e-12);
        assert!((axis.place(1e7) - 1.0).abs() < 1e-12, "what lies outside stands at the edge");
        assert_eq!(escape("a<b & \"c\""), "a&lt;b &amp; &quot;c&quot;");
    }
}
