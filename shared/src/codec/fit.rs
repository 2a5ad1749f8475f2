//! Fits the weights of a forecast by least squares, in which outliers count little.

use super::forecast::{FEATURES, WEIGHT_ONE};

/// Sums over the forecasts of one field and its actual changes.
#[derive(Clone, Debug, Default)]
pub(super) struct Fit {
    /// Sums of products of features, upper half.
    products: [f64; 6],
    /// Sums of products of features and changes.
    answers: [f64; FEATURES],
    /// Sum of squared changes.
    square: f64,
    numbers: f64,
}

impl Fit {
    #[inline]
    pub(super) fn add(
        &mut self,
        features: [f64; FEATURES],
        activity: f64,
        change: f64,
        weights: [f64; FEATURES],
    ) {
        let [a, b, c] = features;
        let miss = change - (weights[0] * a + weights[1] * b + weights[2] * c);
        let usual = 1.0 + activity * 0.5;
        let trust = 1.0 / (usual * usual + miss * miss);
        let [ta, tb, tc] = [a * trust, b * trust, c * trust];
        for (sum, product) in
            self.products.iter_mut().zip([ta * a, ta * b, ta * c, tb * b, tb * c, tc * c])
        {
            *sum += product;
        }
        self.answers[0] += ta * change;
        self.answers[1] += tb * change;
        self.answers[2] += tc * change;
        self.square += change * change * trust;
        self.numbers += 1.0;
    }

    /// Weights that fit clearly better than `now`, and an estimate of how many bits they save.
    pub(super) fn better(&self, now: [i8; FEATURES]) -> Option<([i8; FEATURES], f64)> {
        let best = rounded(self.solve().map(|weight| weight * WEIGHT_ONE));
        let now_error = self.error(now.map(f64::from));
        let best_error = self.error(best);
        let saved = 0.5 * self.numbers * (now_error / best_error.max(1e-9)).log2();
        (saved > 0.02 * self.numbers && saved > 64.0)
            .then(|| (best.map(|weight| weight as i8), saved))
    }

    fn error(&self, weights: [f64; FEATURES]) -> f64 {
        let [x, y, z] = weights.map(|weight| weight / WEIGHT_ONE);
        let [aa, ab, ac, bb, bc, cc] = self.products;
        let quadratic =
            x * x * aa + y * y * bb + z * z * cc + 2.0 * (x * y * ab + x * z * ac + y * z * bc);
        let linear = x * self.answers[0] + y * self.answers[1] + z * self.answers[2];
        (self.square + quadratic - 2.0 * linear).max(0.0) + 1e-3 * self.numbers
    }

    /// Solves by Cramer's rule, with a slight pull of each weight towards zero (ridge regression).
    fn solve(&self) -> [f64; FEATURES] {
        let [aa, ab, ac, bb, bc, cc] = self.products;
        let [aa, bb, cc] = [aa, bb, cc].map(|square| 1e-6 + 1.0001 * square);
        let rows = [[aa, ab, ac], [ab, bb, bc], [ac, bc, cc]];
        let whole = determinant(&rows);
        [0, 1, 2].map(|column| {
            let mut replaced = rows;
            for (row, answer) in replaced.iter_mut().zip(self.answers) {
                row[column] = answer;
            }
            determinant(&replaced) / whole
        })
    }
}

/// Rounds weights together: their sum is that of what is rounded, or 1 if it is about that, so that
/// a pace that stays the same is forecast exactly.
fn rounded(weights: [f64; FEATURES]) -> [f64; FEATURES] {
    let sum: f64 = weights.iter().sum();
    let whole = if (sum - WEIGHT_ONE).abs() < 2.0 { WEIGHT_ONE } else { sum.round() };
    let [_, b, c] = weights.map(f64::round);
    [whole - b - c, b, c].map(|weight| weight.clamp(-127.0, 127.0))
}

fn determinant(m: &[[f64; 3]; 3]) -> f64 {
    m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
        - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
        + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_that_stays_the_same_is_forecast_exactly() {
        assert_eq!(rounded([51.6, 11.7, 0.8]), [51.0, 12.0, 1.0]);
        assert_eq!(rounded([30.4, 10.4, 3.4]), [31.0, 10.0, 3.0]);
    }

    #[test]
    fn a_feature_that_is_large_and_useless_does_not_distort_the_others() {
        let mut fit = Fit::default();
        for n in 0..400 {
            let pace = f64::from(n % 20 - 10);
            let noise = if n % 100 == 7 { 30_000.0 } else { pace };
            let weights = [0.9, 0.0, 0.0];
            fit.add([pace, f64::from(n % 7), noise], pace.abs(), pace, weights);
        }
        let (weights, _) = fit.better([58, 0, 0]).expect("the pace says it all");
        assert_eq!(weights, [64, 0, 0]);
    }
}
