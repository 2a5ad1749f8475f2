//! What a field's next value is expected to be, and how much to trust that.
//!
//! A forecast is `base` plus a weighted sum of up to three *features*; the weights are the model's,
//! so that a match can find out how its game moves. Doubles only, and only `+ - * /` and `floor`.

use super::{
    past::Past,
    plan::{FieldPlan, Motion},
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
    /// Of the field at `index`. `values` are those of the new row that are known already, its
    /// rates among them; `elapsed` is in ticks.
    #[inline]
    pub(super) fn new(
        field: &FieldPlan,
        index: usize,
        past: &Past<'_>,
        values: &[i32],
        elapsed: f64,
    ) -> Self {
        let now = f64::from(past.now()[index]);
        match field.motion {
            Motion::Carried { rate, per_tick } | Motion::Turned { rate, per_tick } => {
                let old = f64::from(past.now()[rate]) * per_tick;
                let new = f64::from(values[rate]) * per_tick;
                let surprise = if field.has_own_clock {
                    0.0
                } else {
                    surprise(field, index, rate, per_tick, past)
                };
                Self {
                    base: now + old * elapsed,
                    features: [(new - old) * elapsed, surprise, 0.0],
                    activity: ((new - old) * elapsed).abs(),
                }
            }
            Motion::Held | Motion::Flags | Motion::Quaternion { .. } | Motion::Component => {
                let change = past.state(1).map_or(0.0, |before| now - f64::from(before[index]));
                let activity = (change * past.per_span[0] * elapsed).abs();
                Self { base: now, features: [0.0; FEATURES], activity }
            }
            Motion::Linear | Motion::Angle => {
                let slopes = slopes(field, index, past, elapsed);
                let activity = 0.5 * (slopes[0].abs() + (slopes[0] - slopes[1]).abs());
                Self { base: now, features: slopes, activity }
            }
        }
    }

    /// By how much a field that moves would change, whatever the weights: by the mean of its old
    /// and new velocity, or as much as the last time.
    #[inline]
    pub(super) fn pace(&self, field: &FieldPlan, now: i32) -> f64 {
        match field.motion {
            Motion::Carried { .. } => self.base - f64::from(now) + 0.5 * self.features[0],
            Motion::Held
            | Motion::Linear
            | Motion::Angle
            | Motion::Turned { .. }
            | Motion::Flags
            | Motion::Quaternion { .. }
            | Motion::Component => self.features[0],
        }
    }

    /// The expected value.
    #[inline]
    pub(super) fn value(&self, weights: &[f64; FEATURES]) -> f64 {
        let [a, b, c] = self.features;
        self.base + (weights[0] * a + weights[1] * b + weights[2] * c)
    }
}

/// What the field would change by at the pace of the last change, of the one before, and so on; of
/// the oldest that is known, where that is not.
#[inline]
fn slopes(field: &FieldPlan, index: usize, past: &Past<'_>, elapsed: f64) -> [f64; FEATURES] {
    let mut slopes = [0.0; FEATURES];
    let mut newer = past.now()[index];
    let mut last = 0.0;
    for (change, slope) in slopes.iter_mut().enumerate() {
        if let Some(older) = past.state(change + 1) {
            last = difference(field, newer, older[index]) * past.per_span[change] * elapsed;
            newer = older[index];
        }
        *slope = last;
    }
    slopes
}

/// By how much the last step went beyond where its rate should have carried it: rounding pulls
/// the next one back.
#[inline]
fn surprise(field: &FieldPlan, index: usize, rate: usize, per_tick: f64, past: &Past<'_>) -> f64 {
    let Some(before) = past.state(1) else { return 0.0 };
    let now = past.now();
    let mean = (f64::from(now[rate]) + f64::from(before[rate])) * 0.5 * per_tick;
    difference(field, now[index], before[index]) - mean * f64::from(past.span(0))
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
    #[inline]
    pub(super) fn beyond(&self, value: i32, other: f64) -> f64 {
        let straight = f64::from(value) - other;
        if self.turns { straight - self.whole_turns(straight) } else { straight }
    }

    /// The integer next to a forecast, within the field's range, and how far above that the
    /// forecast is.
    #[inline]
    pub(super) fn round(&self, value: f64) -> (i32, f64) {
        let (min, max) = self.range;
        let value = if self.turns { self.wrapped(value) } else { value.max(min).min(max) };
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
    #[inline]
    pub(super) fn residual(&self, value: i32, expected: i32) -> i32 {
        if self.turns {
            nearest(self.beyond(value, expected.into())).0
        } else {
            value.wrapping_sub(expected)
        }
    }

    /// The value for which `residual` was sent; it may be out of range if that was not honest.
    #[inline]
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
