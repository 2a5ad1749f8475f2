//! Plots as SVG elements, styled by the page that contains them.
//!
//! A plot's values are in its own units; [`Scale`] maps them to the drawing. Classes `s0`, `s1`, …
//! are the colours of its series.

use std::fmt::{Result, Write};

/// Width and height of a plot, and the room around its area, in SVG units.
const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 18.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 44.0;
/// Room for the legend of a stand-alone picture.
const LEGEND: f64 = 24.0;

/// One plot.
#[derive(Debug)]
pub struct Plot {
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The series, in the order of the legend.
    pub series: Vec<Series>,
}

/// One axis with its title and tick marks.
#[derive(Debug)]
pub struct Axis {
    /// The quantity and its unit.
    pub title: &'static str,
    /// How values map to positions.
    pub scale: Scale,
    /// Tick marks: values and their labels.
    pub ticks: Vec<(f64, String)>,
}

/// How values map to positions along an axis, from `min` to `max`.
#[derive(Clone, Copy, Debug)]
pub enum Scale {
    /// Linearly.
    Linear {
        /// Where it begins.
        min: f64,
        /// Where it ends.
        max: f64,
    },
    /// Logarithmically. `min` must be above 0; smaller values are drawn at `min`.
    Log {
        /// Where it begins.
        min: f64,
        /// Where it ends.
        max: f64,
    },
}

/// One set of values and its name.
#[derive(Debug)]
pub struct Series {
    /// The name in the legend.
    pub name: &'static str,
    /// How it is drawn.
    pub shape: Shape,
}

/// How a series is drawn.
#[derive(Debug)]
pub enum Shape {
    /// A line through points.
    Line(Vec<(f64, f64)>),
    /// A horizontal reference line.
    Level(f64),
    /// Bars: each is a range on the x axis and a height.
    Bars(Vec<((f64, f64), f64)>),
}

impl Axis {
    /// An axis from 0 to a little beyond `max`, with round ticks.
    #[must_use]
    pub fn linear(title: &'static str, max: f64) -> Self {
        let max = if max > 0.0 { max * 1.05 } else { 1.0 };
        let step = round_step(max / 6.0);
        let ticks = (0..).map(|n| f64::from(n) * step).take_while(|&tick| tick <= max);
        let ticks = ticks.map(|tick| (tick, number(tick))).collect();
        Self { title, scale: Scale::Linear { min: 0.0, max }, ticks }
    }

    /// A logarithmic axis from `min` to `max`, both rounded outwards to powers of ten, which are
    /// the ticks.
    #[must_use]
    pub fn log(title: &'static str, min: f64, max: f64) -> Self {
        let low = min.log10().floor() as i32;
        let high = (max.log10().ceil() as i32).max(low + 1);
        let power = |exponent| 10_f64.powi(exponent);
        let ticks = (low..=high).map(|exponent| (power(exponent), number(power(exponent))));
        Self {
            title,
            scale: Scale::Log { min: power(low), max: power(high) },
            ticks: ticks.collect(),
        }
    }
}

impl Scale {
    /// The position of a value: 0 at `min`, 1 at `max`, clamped to that range.
    fn part(self, value: f64) -> f64 {
        let part = match self {
            Self::Linear { min, max } => (value - min) / (max - min),
            Self::Log { min, max } => (value.max(min) / min).ln() / (max / min).ln(),
        };
        part.clamp(0.0, 1.0)
    }
}

impl Plot {
    /// Appends the plot and its legend, for a page that has [`STYLE`](super::STYLE).
    pub fn write(&self, out: &mut String) -> Result {
        self.write_legend(out)?;
        write!(out, "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">")?;
        self.write_area(out)?;
        write!(out, "</svg>")
    }

    /// The plot as a picture of its own, with the legend above.
    #[must_use]
    pub fn picture(&self) -> String {
        let mut out = String::new();
        // Writing to a String can't fail.
        let _ = self.write_picture(&mut out);
        out
    }

    fn write_picture(&self, out: &mut String) -> Result {
        let (top, height) = (-LEGEND, HEIGHT + LEGEND);
        let xmlns = "http://www.w3.org/2000/svg";
        write!(out, "<svg xmlns=\"{xmlns}\" viewBox=\"0 {top} {WIDTH} {height}\">")?;
        write!(out, "<style>{}</style>", super::STYLE)?;
        write!(out, "<path class=\"paper\" d=\"M0 {top}H{WIDTH}V{HEIGHT}H0z\"/>")?;
        let room = (WIDTH - LEFT - RIGHT) / self.series.len().max(1) as f64;
        for (class, series) in self.series.iter().enumerate() {
            let x = LEFT + room * class as f64;
            write!(
                out,
                "<rect class=\"s{class}\" x=\"{x:.0}\" y=\"-10\" width=\"14\" height=\"3\"/>"
            )?;
            write!(out, "<text x=\"{:.0}\" y=\"-5\">{}</text>", x + 20.0, series.name)?;
        }
        self.write_area(out)?;
        write!(out, "</svg>")
    }

    fn write_area(&self, out: &mut String) -> Result {
        let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
        for (value, label) in &self.y.ticks {
            let y = self.y_of(*value);
            write!(out, "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right}\"/>")?;
            let (x, y) = (LEFT - 8.0, y + 4.0);
            write!(out, "<text class=\"end\" x=\"{x}\" y=\"{y:.1}\">{label}</text>")?;
        }
        for (value, label) in &self.x.ticks {
            let x = self.x_of(*value);
            write!(out, "<path class=\"grid\" d=\"M{x:.1} {TOP}V{bottom}\"/>")?;
            let y = bottom + 17.0;
            write!(out, "<text class=\"mid\" x=\"{x:.1}\" y=\"{y}\">{label}</text>")?;
        }
        for (class, series) in self.series.iter().enumerate() {
            self.write_shape(&series.shape, class, out)?;
        }
        let (x, y) = ((LEFT + right) / 2.0, HEIGHT - 8.0);
        write!(out, "<text class=\"mid title\" x=\"{x}\" y=\"{y}\">{}</text>", self.x.title)?;
        let (x, y) = (14.0, (TOP + bottom) / 2.0);
        let turn = format!("transform=\"rotate(-90 {x} {y})\"");
        let title = self.y.title;
        write!(out, "<text class=\"mid title\" x=\"{x}\" y=\"{y}\" {turn}>{title}</text>")
    }

    fn write_legend(&self, out: &mut String) -> Result {
        out.push_str("<p class=\"legend\">");
        for (class, series) in self.series.iter().enumerate() {
            write!(out, "<span><i class=\"s{class}\"></i>{}</span>", series.name)?;
        }
        out.push_str("</p>");
        Ok(())
    }

    fn write_shape(&self, shape: &Shape, class: usize, out: &mut String) -> Result {
        match shape {
            Shape::Line(points) => {
                write!(out, "<path class=\"line s{class}\" d=\"")?;
                for (index, &(x, y)) in points.iter().enumerate() {
                    let command = if index == 0 { 'M' } else { 'L' };
                    write!(out, "{command}{:.1} {:.1}", self.x_of(x), self.y_of(y))?;
                }
                out.push_str("\"/>");
            }
            Shape::Level(level) => {
                let (y, right) = (self.y_of(*level), WIDTH - RIGHT);
                write!(out, "<path class=\"level s{class}\" d=\"M{LEFT} {y:.1}H{right}\"/>")?;
            }
            Shape::Bars(bars) => {
                for &((low, high), height) in bars.iter().filter(|bar| bar.1 > 0.0) {
                    let (x, end) = (self.x_of(low), self.x_of(high));
                    let (y, bottom) = (self.y_of(height), HEIGHT - BOTTOM);
                    let width = (end - x - 1.0).max(0.5);
                    let tall = bottom - y;
                    write!(out, "<rect class=\"s{class}\" x=\"{x:.1}\" y=\"{y:.1}\" ")?;
                    write!(out, "width=\"{width:.1}\" height=\"{tall:.1}\"/>")?;
                }
            }
        }
        Ok(())
    }

    fn x_of(&self, value: f64) -> f64 {
        LEFT + self.x.scale.part(value) * (WIDTH - LEFT - RIGHT)
    }

    fn y_of(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - self.y.scale.part(value) * (HEIGHT - TOP - BOTTOM)
    }
}

/// The smallest of 1, 2 or 5 times a power of ten that is at least `step`.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let round = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= step);
    round.unwrap_or(10.0) * power
}

/// A number without trailing zeros.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_ticks() {
        check(&Axis::linear("ms", 31.0), &["0", "10", "20", "30"]);
        check(&Axis::linear("ms", 0.0), &["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        check(&Axis::log("ms", 0.03, 7.0), &["0.01", "0.1", "1", "10"]);
        check(&Axis::log("ms", 1.0, 1.0), &["1", "10"]);
    }

    #[track_caller]
    fn check(axis: &Axis, expected: &[&str]) {
        let labels: Vec<_> = axis.ticks.iter().map(|tick| tick.1.as_str()).collect();
        assert_eq!(labels, expected);
    }
}
