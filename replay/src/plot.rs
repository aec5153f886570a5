//! Plots as SVG: lines, areas and bars with axes, that a page shows in its own colours.
//!
//! Colours are classes (`plot-0` to `plot-5`, `plot-grid`, `plot-text`): [`STYLE`] has them for a light and a
//! dark page. Whoever cannot see the plot finds its title and description in it, and the same numbers
//! in [`Plot::table`].

use std::fmt::{self, Write as _};

/// The style sheet that plots and tables want.
pub const STYLE: &str = include_str!("plot.css");

/// A plot.
#[derive(Clone, Debug)]
pub struct Plot {
    /// What it shows.
    pub title: String,
    /// The same in a sentence, for who does not see it.
    pub description: String,
    /// What runs along the bottom.
    pub x: Axis,
    /// What runs up the side.
    pub y: Axis,
    /// What is drawn.
    pub series: Vec<Series>,
}

/// An axis.
#[derive(Clone, Debug)]
pub struct Axis {
    /// What is on it, with its unit.
    pub label: String,
    /// Its ends; those of the values where there are none.
    pub ends: Option<(f64, f64)>,
    /// Equal steps are equal factors.
    pub is_logarithmic: bool,
    /// How a value is written.
    pub write: fn(f64) -> String,
    /// Where values are written; at round numbers where there are none.
    pub ticks: Vec<f64>,
}

/// Points that belong together, `x` growing.
#[derive(Clone, Debug)]
pub struct Series {
    /// What they are.
    pub name: String,
    /// Where they are.
    pub points: Vec<(f64, f64)>,
    /// How they are drawn.
    pub mark: Mark,
}

/// How points are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A line through them.
    Line,
    /// A line that keeps its height up to the next point.
    Steps,
    /// The same, filled down to the axis.
    Area,
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 46.0;
/// Height of a line of the legend.
const LEGEND: f64 = 20.0;
/// Colours that there are.
const COLOURS: usize = 6;

impl Axis {
    /// An axis whose ends are those of the values.
    pub fn new(label: impl Into<String>, write: fn(f64) -> String) -> Self {
        let (ends, is_logarithmic, ticks) = (None, false, Vec::new());
        Self { label: label.into(), ends, is_logarithmic, write, ticks }
    }

    /// The same with these ends.
    #[must_use]
    pub fn between(self, low: f64, high: f64) -> Self {
        Self { ends: Some((low, high)), ..self }
    }

    /// The same on which equal steps are equal factors.
    #[must_use]
    pub fn logarithmic(self) -> Self {
        Self { is_logarithmic: true, ..self }
    }

    /// The same with values written here.
    #[must_use]
    pub fn with_ticks(self, ticks: Vec<f64>) -> Self {
        Self { ticks, ..self }
    }

    /// The ends for these values, which are never the same.
    fn ends(&self, values: impl Iterator<Item = f64>) -> (f64, f64) {
        let (low, high) = self.ends.unwrap_or_else(|| {
            let ends = (f64::INFINITY, f64::NEG_INFINITY);
            values.filter(|v| v.is_finite()).fold(ends, |(l, h), v| (l.min(v), h.max(v)))
        });
        match (self.is_logarithmic, low.is_finite() && high.is_finite()) {
            (_, false) => (1.0, 2.0),
            (true, _) => (low.max(f64::MIN_POSITIVE), high.max(2.0 * low.max(f64::MIN_POSITIVE))),
            (false, _) if high > low => (low, high),
            (false, _) => (low, low + 1.0),
        }
    }

    /// Where a value is between the ends, of 1.
    fn part(&self, value: f64, (low, high): (f64, f64)) -> f64 {
        let part = match self.is_logarithmic {
            true => (value.max(low).ln() - low.ln()) / (high.ln() - low.ln()),
            false => (value - low) / (high - low),
        };
        part.clamp(0.0, 1.0)
    }

    fn ticks(&self, (low, high): (f64, f64)) -> Vec<f64> {
        if !self.ticks.is_empty() {
            return self.ticks.iter().copied().filter(|t| (low..=high).contains(t)).collect();
        }
        let step = round_step((high - low) / 5.0);
        let first = (low / step).ceil() as i64;
        (first..)
            .map(|n| n as f64 * step)
            .take_while(|t| *t <= high * (1.0 + 1e-9))
            .take(12)
            .collect()
    }
}

/// The end of an axis that begins at zero, at a value that is written there.
pub fn round_end(most: f64) -> f64 {
    let step = round_step(most / 5.0);
    (most / step).ceil().max(1.0) * step
}

/// The next of 1, 2 and 5 times a power of ten.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.abs().max(1e-12).log10().floor());
    let factor = step / power;
    power * [1.0, 2.0, 5.0].into_iter().find(|f| factor <= *f + 1e-9).unwrap_or(10.0)
}

impl Plot {
    /// The plot as an `svg` element, whose ids begin with `id`.
    pub fn svg(&self, id: &str) -> String {
        let mut svg = String::new();
        // A String takes whatever is written to it.
        let _ = self.write_svg(&mut svg, id);
        svg
    }

    /// The same numbers as a `table` element, behind something to click on.
    pub fn table(&self) -> String {
        let mut table = String::new();
        let _ = self.write_table(&mut table);
        table
    }

    fn write_svg(&self, svg: &mut String, id: &str) -> fmt::Result {
        let has_legend = self.series.iter().any(|series| !series.name.is_empty());
        let legend = if has_legend { LEGEND } else { 0.0 };
        let height = HEIGHT + legend;
        let all = || self.series.iter().flat_map(|series| &series.points);
        let x_ends = self.x.ends(all().map(|(x, _)| *x));
        let y_ends = self.y.ends(all().map(|(_, y)| *y));
        let x = |value: f64| LEFT + self.x.part(value, x_ends) * (WIDTH - LEFT - RIGHT);
        let floor = HEIGHT - BOTTOM + legend;
        let y = |value: f64| floor - self.y.part(value, y_ends) * (HEIGHT - TOP - BOTTOM);
        write!(
            svg,
            r#"<svg class="plot" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="{id}-t {id}-d"><title id="{id}-t">{}</title><desc id="{id}-d">{}</desc>"#,
            Escaped(&self.title),
            Escaped(&self.description),
        )?;
        for tick in self.y.ticks(y_ends) {
            let (at, text) = (y(tick), (self.y.write)(tick));
            write!(
                svg,
                r#"<line class="plot-grid" x1="{LEFT}" x2="{:.1}" y1="{at:.1}" y2="{at:.1}"/><text class="plot-text" x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
                WIDTH - RIGHT,
                LEFT - 8.0,
                at + 4.0,
                Escaped(&text),
            )?;
        }
        let mut last_end = f64::NEG_INFINITY;
        for tick in self.x.ticks(x_ends) {
            let (at, text) = (x(tick), (self.x.write)(tick));
            // About seven units a letter: what would touch the last one is not written.
            let half = 3.5 * text.chars().count() as f64;
            write!(
                svg,
                r#"<line class="plot-grid" x1="{at:.1}" x2="{at:.1}" y1="{floor:.1}" y2="{:.1}"/>"#,
                floor + 4.0,
            )?;
            // The last one would stand out beyond the edge.
            let at = at.min(WIDTH - half);
            if at - half < last_end + 6.0 {
                continue;
            }
            last_end = at + half;
            write!(
                svg,
                r#"<text class="plot-text" x="{at:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
                floor + 18.0,
                Escaped(&text),
            )?;
        }
        write!(
            svg,
            r#"<text class="plot-text plot-label" x="{:.1}" y="{:.1}" text-anchor="middle">{}</text><text class="plot-text plot-label" transform="translate(13 {:.1}) rotate(-90)" text-anchor="middle">{}</text>"#,
            (LEFT + WIDTH - RIGHT) / 2.0,
            height - 6.0,
            Escaped(&self.x.label),
            (TOP + legend + floor) / 2.0,
            Escaped(&self.y.label),
        )?;
        for (series, at) in self.series.iter().zip(0..) {
            let colour = at % COLOURS;
            let class = match series.mark {
                Mark::Area => "plot-area",
                Mark::Line | Mark::Steps => "plot-line",
            };
            let path = series.path(x, y, floor);
            write!(svg, r#"<path class="{class} plot-{colour}" d="{path}"/>"#)?;
        }
        if has_legend {
            let mut at = LEFT;
            for (series, number) in self.series.iter().zip(0..) {
                write!(
                    svg,
                    r#"<rect class="plot-key plot-{}" x="{at:.1}" y="4" width="10" height="10"/><text class="plot-text" x="{:.1}" y="13">{}</text>"#,
                    number % COLOURS,
                    at + 15.0,
                    Escaped(&series.name),
                )?;
                at += 33.0 + 6.6 * series.name.chars().count() as f64;
            }
        }
        svg.write_str("</svg>")
    }

    fn write_table(&self, table: &mut String) -> fmt::Result {
        write!(
            table,
            "<details class=\"numbers\"><summary>The numbers of this plot</summary><table><caption>{}</caption><thead><tr><th scope=\"col\">{}</th>",
            Escaped(&self.title),
            Escaped(&self.x.label),
        )?;
        for series in &self.series {
            write!(table, "<th scope=\"col\">{}</th>", Escaped(&series.name))?;
        }
        table.write_str("</tr></thead><tbody>")?;
        let mut places: Vec<f64> =
            self.series.iter().flat_map(|series| series.points.iter().map(|(x, _)| *x)).collect();
        places.sort_by(f64::total_cmp);
        places.dedup();
        let mut next = vec![0; self.series.len()];
        for place in places {
            write!(table, "<tr><th scope=\"row\">{}</th>", Escaped(&(self.x.write)(place)))?;
            for (series, next) in self.series.iter().zip(&mut next) {
                match series.points.get(*next).filter(|(x, _)| *x == place) {
                    Some((_, y)) => {
                        *next += 1;
                        write!(table, "<td>{}</td>", Escaped(&(self.y.write)(*y)))?;
                    }
                    None => table.write_str("<td></td>")?,
                }
            }
            table.write_str("</tr>")?;
        }
        table.write_str("</tbody></table></details>")
    }
}

impl Series {
    /// A series.
    pub fn new(name: impl Into<String>, mark: Mark, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.into(), points, mark }
    }

    fn path(&self, x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64, floor: f64) -> String {
        let mut path = String::new();
        let points = self.points.iter().filter(|(x, y)| x.is_finite() && y.is_finite());
        let mut points = points.map(|(to_x, to_y)| (x(*to_x), y(*to_y)));
        let Some((first, height)) = points.next() else { return path };
        let (mut last, mut last_height) = (first, height);
        let _ = write!(path, "M{first:.1} {height:.1}");
        for (to_x, to_y) in points {
            let _ = match self.mark {
                Mark::Line => write!(path, "L{to_x:.1} {to_y:.1}"),
                Mark::Steps | Mark::Area => write!(path, "H{to_x:.1}V{to_y:.1}"),
            };
            (last, last_height) = (to_x, to_y);
        }
        if self.mark == Mark::Area {
            let _ = write!(path, "L{last:.1} {last_height:.1}V{floor:.1}H{first:.1}Z");
        }
        path
    }
}

/// Text as it stands in HTML and in its attributes.
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // XML has no way to write these.
                control if control.is_control() && control != '\n' => f.write_str("\u{fffd}")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(points: Vec<(f64, f64)>) -> Plot {
        Plot {
            title: "<A> & \"B\"".into(),
            description: "d".into(),
            x: Axis::new("x", |x| format!("{x}")),
            y: Axis::new("y", |y| format!("{y}")).between(0.0, 10.0),
            series: vec![Series::new("", Mark::Line, points)],
        }
    }

    #[test]
    fn points_are_where_the_axes_say() {
        let svg = plot(vec![(0.0, 0.0), (5.0, 10.0), (10.0, 5.0)]).svg("p");
        // 80 to 704 across, 254 up to 12.
        assert!(svg.contains("d=\"M80.0 254.0L392.0 12.0L704.0 133.0\""), "{svg}");
        assert!(svg.contains("<title id=\"p-t\">&lt;A&gt; &amp; &quot;B&quot;</title>"), "{svg}");
    }

    #[test]
    fn nothing_strange_is_drawn_of_strange_values() {
        for points in [
            vec![],
            vec![(1.0, 1.0)],
            vec![(f64::NAN, 1.0), (1.0, f64::INFINITY)],
            vec![(0.0, 5.0), (0.0, 5.0)],
        ] {
            for is_logarithmic in [false, true] {
                let mut plot = plot(points.clone());
                plot.x.is_logarithmic = is_logarithmic;
                let svg = plot.svg("p");
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            }
        }
    }

    #[test]
    fn the_table_has_every_number_once() {
        let mut plot = plot(vec![(1.0, 2.0), (3.0, 4.0)]);
        plot.series.push(Series::new("t", Mark::Steps, vec![(3.0, 5.0)]));
        let table = plot.table();
        assert!(table.contains("<th scope=\"row\">1</th><td>2</td><td></td>"), "{table}");
        assert!(table.contains("<th scope=\"row\">3</th><td>4</td><td>5</td>"), "{table}");
    }

    #[test]
    fn ticks_are_round() {
        let axis = Axis::new("", |x| format!("{x}"));
        assert_eq!(axis.ticks((0.0, 1.0)), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        assert_eq!(axis.ticks((0.0, 4_700.0)), [0.0, 1000.0, 2000.0, 3000.0, 4000.0]);
        assert_eq!([0.0, 1.0, 136.0, 4_700.0].map(round_end), [1e-12, 1.0, 150.0, 5000.0]);
    }
}
