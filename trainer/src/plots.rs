//! A panel of a plot as SVG: axes, series with error bars, legend. Light or dark follows the reader's setting.

use std::fmt::Write as _;

/// How an axis maps values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// Evenly.
    Linear,
    /// By the logarithm.
    Log,
}

/// One axis: its range, scale and marks.
#[derive(Clone, Debug)]
pub struct Axis {
    /// Least and largest value shown.
    pub range: (f64, f64),
    /// How values are mapped.
    pub scale: Scale,
    /// Marks and their text.
    pub ticks: Vec<(f64, String)>,
    /// What it shows.
    pub title: String,
}

impl Axis {
    fn place(&self, value: f64) -> f64 {
        let by = |v: f64| if self.scale == Scale::Log { v.max(1e-12).log10() } else { v };
        let (low, high) = (by(self.range.0), by(self.range.1));
        if high > low { ((by(value) - low) / (high - low)).clamp(0.0, 1.0) } else { 0.5 }
    }
}

/// A point with its error, half the bar's length.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// Along.
    pub x: f64,
    /// Up.
    pub y: f64,
    /// Half the error bar's length.
    pub error: f64,
}

/// Points of one kind.
#[derive(Clone, Debug)]
pub struct Series {
    /// Name in the legend.
    pub name: String,
    /// Number of its colour and sign, the same in every panel.
    pub style: usize,
    /// Whether its points are joined.
    pub joined: bool,
    /// The points.
    pub points: Vec<Point>,
}

/// One plot.
#[derive(Clone, Debug)]
pub struct Panel {
    /// What stands above.
    pub title: String,
    /// Along.
    pub x: Axis,
    /// Up.
    pub y: Axis,
    /// What is shown.
    pub series: Vec<Series>,
}

const WIDTH: f64 = 430.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 56.0;
const TOP: f64 = 34.0;
const RIGHT: f64 = 28.0;
const BOTTOM: f64 = 46.0;
/// Panels beside each other.
const ACROSS: usize = 2;
const LEGEND_LINE: f64 = 18.0;

/// Legible on white and on near-black, and apart from each other to most colour-blind readers.
const COLOURS: [&str; 8] =
    ["#3b82f6", "#e0552f", "#17a673", "#b3811a", "#a855f7", "#0f9fb5", "#d6459a", "#7d8590"];

/// A figure of panels with one legend below.
pub fn figure(panels: &[Panel]) -> String {
    let lines = panels.len().div_ceil(ACROSS).max(1);
    let across = panels.len().clamp(1, ACROSS);
    let mut legend: Vec<(usize, &str)> = Vec::new();
    for series in panels.iter().flat_map(|panel| &panel.series) {
        if !legend.contains(&(series.style, &series.name)) {
            legend.push((series.style, &series.name));
        }
    }
    legend.sort_unstable();
    let columns = if across == 1 { 2 } else { 3 };
    let (width, plots) = (across as f64 * WIDTH, lines as f64 * HEIGHT);
    let height = plots + 16.0 + legend.len().div_ceil(columns) as f64 * LEGEND_LINE;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" font-family=\"system-ui, sans-serif\" font-size=\"11\">\n"
    );
    out.push_str(
        "<style>.paper{fill:#fff}.ink{fill:#1f2328}.soft{fill:#59636e}.rule{stroke:#d1d9e0}.axis{stroke:#59636e}\
         @media (prefers-color-scheme: dark){.paper{fill:#0d1117}.ink{fill:#e6edf3}.soft{fill:#9198a1}.rule{stroke:#2f353d}.axis{stroke:#9198a1}}</style>\n",
    );
    let _ = writeln!(out, "<rect class=\"paper\" width=\"{width}\" height=\"{height}\"/>");
    for (i, panel) in panels.iter().enumerate() {
        let (x, y) = ((i % ACROSS) as f64 * WIDTH, (i / ACROSS) as f64 * HEIGHT);
        let _ = writeln!(out, "<g transform=\"translate({x} {y})\">");
        draw(&mut out, panel);
        out.push_str("</g>\n");
    }
    for (i, (style, name)) in legend.iter().enumerate() {
        let x = 20.0 + (i % columns) as f64 * ((width - 20.0) / columns as f64);
        let y = plots + 12.0 + (i / columns) as f64 * LEGEND_LINE;
        sign(&mut out, *style, x, y);
        let _ = writeln!(
            out,
            "<text class=\"ink\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            x + 10.0,
            y + 4.0,
            escape(name)
        );
    }
    out.push_str("</svg>\n");
    out
}

fn draw(out: &mut String, panel: &Panel) {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    let at_x = |v: f64| LEFT + panel.x.place(v) * (right - LEFT);
    let at_y = |v: f64| bottom - panel.y.place(v) * (bottom - TOP);
    let _ = writeln!(
        out,
        "<text class=\"ink\" x=\"{LEFT}\" y=\"20\" font-size=\"13\" font-weight=\"600\">{}</text>",
        escape(&panel.title)
    );
    for (value, text) in &panel.y.ticks {
        let y = at_y(*value);
        let _ = writeln!(
            out,
            "<line class=\"rule\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"
        );
        let _ = writeln!(
            out,
            "<text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 6.0,
            y + 4.0,
            escape(text)
        );
    }
    for (value, text) in &panel.x.ticks {
        let x = at_x(*value);
        let _ = writeln!(
            out,
            "<line class=\"axis\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{bottom}\" y2=\"{:.1}\"/>",
            bottom + 4.0
        );
        let _ = writeln!(
            out,
            "<text class=\"soft\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            bottom + 17.0,
            escape(text)
        );
    }
    let _ = writeln!(
        out,
        "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{bottom}\" y2=\"{bottom}\"/>"
    );
    let _ = writeln!(
        out,
        "<text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
        f64::midpoint(LEFT, right),
        HEIGHT - 12.0,
        escape(&panel.x.title)
    );
    let middle = f64::midpoint(TOP, bottom);
    let _ = writeln!(
        out,
        "<text class=\"soft\" transform=\"translate(14 {middle:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
        escape(&panel.y.title)
    );
    for series in &panel.series {
        let colour = COLOURS[series.style % COLOURS.len()];
        if series.joined && series.points.len() > 1 {
            let path: Vec<String> = series
                .points
                .iter()
                .map(|p| format!("{:.1},{:.1}", at_x(p.x), at_y(p.y)))
                .collect();
            let _ = writeln!(
                out,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>",
                path.join(" ")
            );
        }
        for p in &series.points {
            let (x, y) = (at_x(p.x), at_y(p.y));
            if p.error > 0.0 {
                let (low, high) = (at_y(p.y - p.error), at_y(p.y + p.error));
                let _ = writeln!(
                    out,
                    "<path d=\"M{x:.1} {low:.1}V{high:.1}M{:.1} {low:.1}h6M{:.1} {high:.1}h6\" stroke=\"{colour}\" fill=\"none\"/>",
                    x - 3.0,
                    x - 3.0
                );
            }
            sign(out, series.style, x, y);
        }
    }
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
            Axis { range: (1e2, 1e6), scale: Scale::Log, ticks: Vec::new(), title: String::new() };
        assert!((axis.place(1e4) - 0.5).abs() < 1e-12);
        assert!((axis.place(1e7) - 1.0).abs() < 1e-12, "what lies outside stands at the edge");
        assert_eq!(escape("a<b & \"c\""), "a&lt;b &amp; &quot;c&quot;");
    }
}
