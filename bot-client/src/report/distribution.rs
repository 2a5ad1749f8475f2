//! Distributions in reports.

use hdrhistogram::Histogram;
use serde::Serialize;

/// A distribution of times, in microseconds. A mean alone hides what matters.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Distribution {
    /// The median.
    pub p50: u64,
    /// The 90th percentile.
    pub p90: u64,
    /// The 99th percentile.
    pub p99: u64,
    /// The 99.9th percentile.
    pub p99_9: u64,
    /// The largest.
    pub max: u64,
    /// The mean.
    pub mean: f64,
    /// For the plots.
    #[serde(skip)]
    pub(super) curve: Vec<Quantile>,
    #[serde(skip)]
    pub(super) bars: Vec<Bar>,
}

/// A point of a percentile plot, whose axis has equal room for 90 %, 99 %, 99.9 % and so on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Quantile {
    /// 1 at 90 %, 2 at 99 %, 3 at 99.9 %.
    pub(super) nines: f64,
    pub(super) value: u64,
}

/// Part of all values that are within a range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bar {
    pub(super) low: u64,
    pub(super) high: u64,
    pub(super) part: f64,
}

/// Points of a curve per nine.
const CURVE_STEPS: usize = 24;
/// Most nines of the axis.
const NINES_MAX: usize = 5;

impl Distribution {
    /// `None` if nothing was recorded.
    #[must_use]
    pub fn of(histogram: &Histogram<u64>) -> Option<Self> {
        if histogram.is_empty() {
            return None;
        }
        let at = |quantile| histogram.value_at_quantile(quantile);
        Some(Self {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            max: histogram.max(),
            mean: histogram.mean(),
            curve: curve(histogram),
            bars: bars(histogram),
        })
    }
}

/// The curve, as far as there are enough values to distinguish quantiles.
fn curve(histogram: &Histogram<u64>) -> Vec<Quantile> {
    let nines_known = (histogram.len() as f64).log10();
    (0..=NINES_MAX * CURVE_STEPS)
        .map(|step| step as f64 / CURVE_STEPS as f64)
        .take_while(|&nines| nines <= nines_known)
        .map(|nines| {
            let value = histogram.value_at_quantile(1.0 - 10_f64.powf(-nines));
            Quantile { nines, value }
        })
        .collect()
}

/// The histogram. Each range starts where the one before ends, and is about a fifth wider.
fn bars(histogram: &Histogram<u64>) -> Vec<Bar> {
    let mut bars = Vec::new();
    let (mut low, mut high) = (0, 2);
    while low <= histogram.max() {
        let count = histogram.count_between(low, high - 1);
        bars.push(Bar { low, high, part: count as f64 / histogram.len() as f64 });
        (low, high) = (high, (high * 6).div_ceil(5));
    }
    bars
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_values() {
        let mut histogram = Histogram::new(3).unwrap();
        for value in 1..=1_000 {
            histogram.record(value).unwrap();
        }
        let all = Distribution::of(&histogram).unwrap();
        assert_eq!((all.p50, all.p90, all.p99, all.p99_9, all.max), (500, 900, 990, 999, 1_000));
        assert!((all.mean - 500.5).abs() < 1.0);
        assert_eq!(all.curve.last(), Some(&Quantile { nines: 3.0, value: 999 }));
        let total: f64 = all.bars.iter().map(|bar| bar.part).sum();
        assert!((total - 1.0).abs() < 1e-9, "bars hold each value once: {total}");
    }

    #[test]
    fn of_nothing_there_is_no_distribution() {
        assert_eq!(Distribution::of(&Histogram::new(3).unwrap()), None);
    }
}
