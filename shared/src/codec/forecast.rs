//! Forecasts of a field's next value, and of how reliable they are.
//!
//! A forecast is a base plus a weighted sum of up to three *features*. The weights are part of the
//! model, so that they can be fitted to how a game's entities move. It uses doubles only, with only
//! `+ - * /` and `floor`.
//!
//! Neighbouring fields of a row are forecast together in *lanes*: a processor computes two doubles
//! as fast as one.

use super::{
    columns::Moving,
    model::{CLASSED_MAX, EXPONENT_OF_ONE},
    plan::FieldPlan,
};
use crate::schema::FIELDS_MAX;

/// Number of features of a forecast.
pub(super) const FEATURES: usize = 3;

/// The integer that stands for a weight of 1 in a model.
pub(super) const WEIGHT_ONE: f64 = 64.0;

/// Forecasts of `LANES` fields, in their steps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forecast<const LANES: usize> {
    pub(super) base: [f64; LANES],
    pub(super) features: [[f64; LANES]; FEATURES],
    /// A measure of how much the field has changed lately: the more, the less reliable.
    pub(super) activity: [f64; LANES],
}

/// A forecast, prepared for coding: the nearest integer, a context, and the centre with its sign. An
/// encoder replaces the integer by the actual residual.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cell(u64);

/// The parameters for forecasts of neighbouring fields of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a, const LANES: usize> {
    pub(super) first: usize,
    /// The rate of the first field, if these have rates.
    pub(super) rate: usize,
    pub(super) plans: &'a [FieldPlan; LANES],
    per_tick: [f64; LANES],
    min: [f64; LANES],
    max: [f64; LANES],
    /// By feature.
    weights: [[f64; LANES]; FEATURES],
}

/// Whether the fields of a run have rates, and whether they are angles; known at compile time.
pub(super) trait Way {
    const CARRIED: bool;
    const TURNS: bool;
}

impl<'a, const LANES: usize> Fields<'a, LANES> {
    #[inline(always)]
    pub(super) fn new(
        first: usize,
        rate: usize,
        plans: &'a [FieldPlan],
        weights: &[[f64; FEATURES]],
    ) -> Self {
        let plans = plans[first..].first_chunk().expect("as many fields are left");
        let weight = |feature: usize| array(|i| weights[first + i][feature]);
        Self {
            first,
            rate,
            plans,
            per_tick: array(|i| plans[i].per_tick),
            min: array(|i| plans[i].range.0),
            max: array(|i| plans[i].range.1),
            weights: [weight(0), weight(1), weight(2)],
        }
    }

    /// The forecast for an entity, whose new row begins with `values`.
    #[inline(always)]
    pub(super) fn forecast<W: Way>(&self, moving: &Moving<'_>, values: &[i32]) -> Forecast<LANES> {
        if W::CARRIED { self.carried::<W>(moving, values) } else { self.linear::<W>(moving) }
    }

    /// The forecast of fields that keep changing at their pace. The features are the changes at the
    /// pace of the last change, of the one before, and so on.
    #[inline(always)]
    fn linear<W: Way>(&self, moving: &Moving<'_>) -> Forecast<LANES> {
        let row = |state: usize| lanes(moving.states[state], self.first);
        let rows = [row(0), row(1), row(2), row(3)];
        let slope = |change: usize| {
            let [newer, older]: [[f64; LANES]; 2] = [rows[change], rows[change + 1]];
            array(|i| self.beyond::<W>(i, newer[i], older[i]) * moving.pace[change])
        };
        let slopes: [[f64; LANES]; FEATURES] = [slope(0), slope(1), slope(2)];
        let activity = array(|i| 0.5 * (slopes[0][i].abs() + (slopes[0][i] - slopes[1][i]).abs()));
        Forecast { base: rows[0], features: slopes, activity }
    }

    /// The forecast of fields with rates. The features are how far the change of the rate moves the
    /// field, and by how much its last change exceeded what the rate accounts for: if that was
    /// rounding, the next change makes up for it.
    #[inline(always)]
    fn carried<W: Way>(&self, moving: &Moving<'_>, values: &[i32]) -> Forecast<LANES> {
        let [newer, older, ..] = moving.states;
        let now = lanes::<LANES>(newer, self.first);
        let now_rate = lanes::<LANES>(newer, self.rate);
        let new_rate = lanes::<LANES>(values, self.rate);
        let old: [f64; LANES] = array(|i| now_rate[i] * self.per_tick[i]);
        let change: [f64; LANES] =
            array(|i| (new_rate[i] * self.per_tick[i] - old[i]) * moving.elapsed);
        let surprise = if self.plans[0].has_own_clock {
            [0.0; LANES]
        } else {
            let before = lanes::<LANES>(older, self.first);
            let before_rate = lanes::<LANES>(older, self.rate);
            array(|i| {
                let mean = (now_rate[i] + before_rate[i]) * 0.5 * self.per_tick[i];
                self.beyond::<W>(i, now[i], before[i]) - mean * moving.pattern.span
            })
        };
        Forecast {
            base: array(|i| now[i] + old[i] * moving.elapsed),
            features: [change, surprise, [0.0; LANES]],
            activity: array(|i| change[i].abs()),
        }
    }

    /// The forecast values.
    #[inline(always)]
    fn values(&self, forecast: &Forecast<LANES>) -> [f64; LANES] {
        let Forecast { base, features: [a, b, c], .. } = forecast;
        let [x, y, z] = &self.weights;
        array(|i| base[i] + (x[i] * a[i] + y[i] * b[i] + z[i] * c[i]))
    }

    /// The weights of one field.
    pub(super) fn weights(&self, lane: usize) -> [f64; FEATURES] {
        self.weights.map(|weights| weights[lane])
    }

    /// How far one value is above another; for an angle, the shorter way round.
    #[inline(always)]
    fn beyond<W: Way>(&self, lane: usize, value: f64, other: f64) -> f64 {
        if W::TURNS { self.plans[lane].beyond_value(value, other) } else { value - other }
    }

    /// Prepares a forecast for coding.
    #[inline(always)]
    pub(super) fn cells<W: Way>(&self, forecast: &Forecast<LANES>) -> [Cell; LANES] {
        let value = self.values(forecast);
        if W::TURNS {
            return std::array::from_fn(|i| {
                self.plans[i].turning_cell(value[i], forecast.activity[i])
            });
        }
        // In this form each is one instruction for all lanes.
        let above = |value: f64, min: f64| if value > min { value } else { min };
        let below = |value: f64, max: f64| if value < max { value } else { max };
        let value = array(|i| below(above(value[i], self.min[i]), self.max[i]));
        cells(value, &forecast.activity)
    }
}

/// Prepares forecast values for coding; they must be within their fields' ranges.
#[inline(always)]
pub(super) fn cells<const LANES: usize>(
    value: [f64; LANES],
    activity: &[f64; LANES],
) -> [Cell; LANES] {
    let shifted: [f64; LANES] = array(|i| value[i] + ROUNDING);
    let rest: [f64; LANES] = array(|i| value[i] - (shifted[i] - ROUNDING));
    std::array::from_fn(|i| Cell::new(shifted[i].to_bits(), rest[i], activity[i]))
}

impl Cell {
    /// A forecast that is `rest` above the integer in the low 32 bits of `bits`.
    #[inline(always)]
    pub(super) fn new(bits: u64, rest: f64, activity: f64) -> Self {
        // As in `class_of`: the exponent of twice the activity in eighths, plus 1.
        let twice = 16.0 * activity + 1.0;
        let twice = if twice < CLASSED_MAX { twice } else { CLASSED_MAX };
        let exponent = (twice.to_bits() >> (f64::MANTISSA_DIGITS - 1)) - (EXPONENT_OF_ONE - 1);
        let centre = (rest.abs() * 8.0 + ROUNDING).to_bits() & 7;
        let sign = rest.to_bits() >> 32 & 1 << 31;
        Self(bits << 32 | sign | (exponent & 14) << 2 | centre)
    }

    /// The forecast of a field that is expected to keep its value.
    #[inline(always)]
    pub(super) fn held(now: i32, change: f64) -> Self {
        Self::new(now.cast_unsigned().into(), 0.0, change.abs())
    }

    /// The cell with the residual of the actual value in place of the integer, for an encoder.
    #[inline(always)]
    pub(super) fn aimed(self, residual: i32) -> Self {
        Self(u64::from(self.mirror(residual).cast_unsigned()) << 32 | self.0 & u64::from(u32::MAX))
    }

    /// The integer nearest to the forecast, or the residual.
    #[inline(always)]
    pub(super) fn integer(self) -> i32 {
        (self.0 >> 32) as i32
    }

    /// The first context for this activity.
    #[inline(always)]
    pub(super) fn context(self) -> usize {
        (self.0 & 0x38) as usize
    }

    /// How many eighths the forecast is away from the integer.
    #[inline(always)]
    pub(super) fn centre(self) -> u8 {
        (self.0 & 7) as u8
    }

    /// A number, negated if the forecast is below the integer: tables are only centred above.
    #[inline(always)]
    pub(super) fn mirror(self, number: i32) -> i32 {
        let sign = (self.0 as i32) >> 31;
        (number ^ sign).wrapping_sub(sign)
    }
}

#[inline(always)]
fn array<const LANES: usize>(lane: impl Fn(usize) -> f64) -> [f64; LANES] {
    std::array::from_fn(lane)
}

/// The values of a row from `first` on.
#[inline(always)]
pub(super) fn lanes<const LANES: usize>(row: &[i32], first: usize) -> [f64; LANES] {
    // One check of bounds, since this can't overflow.
    let first = first % FIELDS_MAX;
    let values: &[i32; LANES] =
        row[first..first + LANES].as_array().expect("a row has all fields of its kind");
    values.map(f64::from)
}

/// Adding this rounds a double to an integer, halves to even, and leaves that in the low bits.
const ROUNDING: f64 = 6_755_399_441_055_744.0;

/// The integer nearest to `value`, which is below 2^31 in size, and the same as a double.
#[inline]
pub(super) fn nearest(value: f64) -> (i32, f64) {
    let shifted = value + ROUNDING;
    (shifted.to_bits() as u32 as i32, shifted - ROUNDING)
}

impl FieldPlan {
    /// How far a value is above another; for an angle, the shorter way round.
    #[inline(always)]
    pub(super) fn beyond(&self, value: i32, other: f64) -> f64 {
        self.beyond_value(value.into(), other)
    }

    #[inline(always)]
    pub(super) fn beyond_value(&self, value: f64, other: f64) -> f64 {
        let straight = value - other;
        if self.turns { straight - self.whole_turns(straight) } else { straight }
    }

    /// Prepares the forecast of an angle for coding.
    #[inline]
    pub(super) fn turning_cell(&self, value: f64, activity: f64) -> Cell {
        let (min, max) = self.range;
        let value = self.wrapped(value);
        let (integer, rounded) = nearest(value);
        // Within half a step of the end of the circle, the nearest integer may be the other end.
        let integer = match integer {
            _ if rounded > max => self.min,
            _ if rounded < min => self.max,
            _ => integer,
        };
        Cell::new(integer.cast_unsigned().into(), value - rounded, activity)
    }

    /// The residual of `value`, if `expected` was the forecast.
    #[inline(always)]
    pub(super) fn residual<W: Way>(&self, value: i32, expected: i32) -> i32 {
        if W::TURNS {
            nearest(self.beyond(value, expected.into())).0
        } else {
            value.wrapping_sub(expected)
        }
    }

    /// The value with this residual; from a hostile body it may be out of range.
    #[inline(always)]
    pub(super) fn value<const TURNS: bool>(&self, residual: i32, expected: i32) -> i32 {
        if TURNS {
            nearest(self.wrapped(f64::from(expected) + f64::from(residual))).0
        } else {
            expected.wrapping_add(residual)
        }
    }

    /// The same angle between `min` and `max`, give or take half a step.
    #[inline(always)]
    fn wrapped(&self, value: f64) -> f64 {
        value - self.whole_turns(value - self.middle)
    }

    /// The nearest number of whole turns to `steps`, in steps.
    #[inline(always)]
    fn whole_turns(&self, steps: f64) -> f64 {
        // Usually there are none, which needs no division.
        if steps.abs() <= self.half_turn {
            return 0.0;
        }
        let turn = 2.0 * self.half_turn;
        turn * nearest(steps / turn).1
    }
}
