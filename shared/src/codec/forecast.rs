//! What a field's next value is expected to be, and how much to trust that.
//!
//! A forecast is `base` plus a weighted sum of up to three *features*; the weights are the model's,
//! so that a match can find out how its game moves. Doubles only, and only `+ - * /` and `floor`.

use super::{
    past::Steps,
    plan::{FieldPlan, Rate},
};

/// Features of a forecast.
pub(super) const FEATURES: usize = 3;

/// What a weight of 1 is in a model.
pub(super) const WEIGHT_ONE: f64 = 64.0;

/// A value to come, in a field's steps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forecast {
    pub(super) base: f64,
    pub(super) features: [f64; FEATURES],
    /// About how much happened lately, in steps.
    pub(super) activity: f64,
}

impl Forecast {
    /// Of a field that is usually still.
    #[inline(always)]
    pub(super) fn held(index: usize, steps: &Steps<'_>, elapsed: f64) -> Self {
        let now = f64::from(steps.newer[0][index]);
        let pace = (now - f64::from(steps.older[0][index])) * steps.per_span[0];
        Self { base: now, features: [0.0; FEATURES], activity: (pace * elapsed).abs() }
    }

    /// Of a field that goes on at its pace. The features are what it would change by at the pace
    /// of the last change, of the one before, and so on.
    #[inline(always)]
    pub(super) fn linear(field: &FieldPlan, index: usize, steps: &Steps<'_>, elapsed: f64) -> Self {
        let slope = |i: usize| {
            difference(field, steps.newer[i][index], steps.older[i][index])
                * steps.per_span[i]
                * elapsed
        };
        let slopes = [slope(0), slope(1), slope(2)];
        let activity = 0.5 * (slopes[0].abs() + (slopes[0] - slopes[1]).abs());
        Self { base: steps.newer[0][index].into(), features: slopes, activity }
    }

    /// Of a field that is moved by another, whose new value is `rate`. The features are what that
    /// has gained since, and by how much the last step went beyond where its rate should have
    /// carried it: rounding pulls the next one back.
    #[inline(always)]
    pub(super) fn carried(
        field: &FieldPlan,
        index: usize,
        by: Rate,
        rate: i32,
        steps: &Steps<'_>,
        elapsed: f64,
    ) -> Self {
        let (newer, older) = (steps.newer[0], steps.older[0]);
        let now_rate = f64::from(newer[by.index]);
        let old = now_rate * by.per_tick;
        let change = (f64::from(rate) * by.per_tick - old) * elapsed;
        let surprise = if field.has_own_clock {
            0.0
        } else {
            let mean = (now_rate + f64::from(older[by.index])) * 0.5 * by.per_tick;
            difference(field, newer[index], older[index]) - mean * steps.span
        };
        Self {
            base: f64::from(newer[index]) + old * elapsed,
            features: [change, surprise, 0.0],
            activity: change.abs(),
        }
    }

    /// The expected value.
    #[inline]
    pub(super) fn value(&self, weights: &[f64; FEATURES]) -> f64 {
        let [a, b, c] = self.features;
        self.base + (weights[0] * a + weights[1] * b + weights[2] * c)
    }
}

/// How far it is from `older` to `newer`: the short way round, if the field turns.
#[inline]
fn difference(field: &FieldPlan, newer: i32, older: i32) -> f64 {
    field.beyond(newer, older.into())
}

/// Adding this rounds a double to an integer, halves to even, and leaves that in the low bits.
const ROUNDING: f64 = 6_755_399_441_055_744.0;

/// The integer next to `value`, whose size is below 2^31, and the same as a double.
#[inline]
pub(super) fn nearest(value: f64) -> (i32, f64) {
    let shifted = value + ROUNDING;
    (shifted.to_bits() as u32 as i32, shifted - ROUNDING)
}

impl FieldPlan {
    /// How far a value is above another: the short way round, if the field turns.
    #[inline(always)]
    pub(super) fn beyond(&self, value: i32, other: f64) -> f64 {
        let straight = f64::from(value) - other;
        if self.turns { straight - self.whole_turns(straight) } else { straight }
    }

    /// The integer next to a forecast, within the field's range, and how far above that the
    /// forecast is.
    #[inline(always)]
    pub(super) fn round(&self, value: f64) -> (i32, f64) {
        let (min, max) = self.range;
        let value = if self.turns {
            self.wrapped(value)
        } else if value < min {
            min
        } else if value > max {
            max
        } else {
            value
        };
        let (integer, rounded) = nearest(value);
        // Half a step beyond the end of the circle, the nearest may be the other end.
        let integer = match integer {
            _ if !self.turns => integer,
            _ if rounded > max => self.min,
            _ if rounded < min => self.max,
            _ => integer,
        };
        (integer, value - rounded)
    }

    /// What is to be sent for `value` when `expected` was.
    #[inline(always)]
    pub(super) fn residual(&self, value: i32, expected: i32) -> i32 {
        if self.turns {
            nearest(self.beyond(value, expected.into())).0
        } else {
            value.wrapping_sub(expected)
        }
    }

    /// The value for which `residual` was sent; it may be out of range if that was not honest.
    #[inline(always)]
    pub(super) fn value(&self, residual: i32, expected: i32) -> i32 {
        if self.turns {
            nearest(self.wrapped(f64::from(expected) + f64::from(residual))).0
        } else {
            expected.wrapping_add(residual)
        }
    }

    /// The same place on the circle, between `min` and `max`, give or take half a step.
    fn wrapped(&self, value: f64) -> f64 {
        let (min, max) = self.range;
        value - self.whole_turns(value - (min + max) * 0.5)
    }

    /// The whole turns next to so many steps, in steps.
    fn whole_turns(&self, steps: f64) -> f64 {
        let (min, max) = self.range;
        let circle = max - min + 1.0;
        circle * nearest(steps / circle).1
    }
}
