//! A schema prepared for coding: each kind's fields, in coding order.

use std::ops::Range;

use crate::{
    schema::{KindSchema, Predict, Schema},
    time::TickRate,
};

/// What the codec needs of a schema and a tick rate.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) kinds: Vec<KindPlan>,
    /// Number of slots in models and statistics: one for each field of each kind, then one for the
    /// kind's moment.
    pub(super) slots: usize,
    /// Length of a substep in ticks; 0 without [`Schema::substeps`].
    pub(super) substep: f64,
}

/// One kind of entity.
#[derive(Debug)]
pub(super) struct KindPlan {
    /// The slot of the first field.
    pub(super) first_slot: usize,
    /// By place in the row.
    pub(super) fields: Vec<FieldPlan>,
    /// Movers (fields that change continually) in coding order; a quaternion's components are part
    /// of its first field.
    pub(super) movers: Vec<Run>,
    /// Stills (fields that change occasionally, and are no other field's rate) in coding order.
    pub(super) stills: Vec<Run>,
    /// Where in the row movers are, components included: each range as long as possible.
    pub(super) moving: Vec<Range<usize>>,
    /// Where the stills are.
    pub(super) resting: Vec<Range<usize>>,
    /// The fields from which the moment is derived, in coding order.
    pub(super) paced: Vec<u8>,
}

/// Fields that are neighbours in the row and in coding order, have the same motion, and don't
/// depend on one another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) first: usize,
    pub(super) len: usize,
    /// The motion of its first field.
    pub(super) motion: Motion,
    /// Whether the moment is coded just before it.
    pub(super) is_after_moment: bool,
}

/// One field.
#[derive(Clone, Debug)]
pub(super) struct FieldPlan {
    pub(super) min: i32,
    pub(super) max: i32,
    /// `min` and `max` as doubles.
    pub(super) range: (f64, f64),
    /// Whether values wrap around from `max` to `min`.
    pub(super) turns: bool,
    /// Half the number of its values, and the middle of its range.
    pub(super) half_turn: f64,
    pub(super) middle: f64,
    /// How many of its steps one step of its rate moves it in a tick.
    pub(super) per_tick: f64,
    /// Whether its forecast has weights that can be fitted.
    pub(super) learns: bool,
    /// Whether rows have moments of their own; see [`Schema::substeps`].
    pub(super) has_own_clock: bool,
    /// Whether the moment is derived from it.
    pub(super) is_paced: bool,
    pub(super) motion: Motion,
    /// Whether the field before it in coding order has the same step and motion, so that its
    /// residual shows what to expect.
    pub(super) has_neighbour: bool,
}

/// How a field moves, in its own steps and in ticks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Motion {
    Held,
    Linear,
    Carried(Rate),
    Angle,
    Turned(Rate),
    Flags,
    /// `scale` is the integer that a component of 1 would have; `spin` is the rate of the first of
    /// the three fields of its angular velocity.
    Quaternion {
        spin: Option<Rate>,
        scale: f64,
    },
    Component,
}

impl Motion {
    /// The single rate of this motion, if it has one.
    fn rate(self) -> Option<Rate> {
        match self {
            Self::Carried(by) | Self::Turned(by) => Some(by),
            Self::Held
            | Self::Linear
            | Self::Angle
            | Self::Flags
            | Self::Quaternion { .. }
            | Self::Component => None,
        }
    }
}

/// A field that is the velocity of another, and how far one step of it moves the other in a tick:
/// in the other's steps, or in radians.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rate {
    pub(super) index: usize,
    pub(super) per_tick: f64,
}

impl Plan {
    pub(super) fn new(schema: &Schema, rate: TickRate) -> Self {
        let mut slots = 0;
        let kinds = (schema.kinds.iter())
            .map(|kind| {
                let first_slot = slots;
                slots += kind.fields.len() + 1;
                KindPlan::new(kind, first_slot, schema, rate)
            })
            .collect();
        let substep = if schema.substeps > 0 { 1.0 / f64::from(schema.substeps) } else { 0.0 };
        Self { kinds, slots, substep }
    }
}

impl Plan {
    /// The field of a slot; `None` for a moment's.
    pub(super) fn field_of(&self, slot: usize) -> Option<&FieldPlan> {
        let kind = self.kinds.iter().rfind(|kind| kind.first_slot <= slot)?;
        kind.fields.get(slot - kind.first_slot)
    }
}

impl KindPlan {
    fn new(kind: &KindSchema, first_slot: usize, schema: &Schema, rate: TickRate) -> Self {
        let hz = f64::from(rate.hz());
        let rounds = kind.coding_rounds().expect("the schema is valid");
        let order = kind.coding_order(&rounds);
        let mut fields: Vec<_> = (kind.fields.iter().enumerate())
            .map(|(index, field)| (index, field, motion(kind, index, hz)))
            .map(|(index, field, motion)| FieldPlan {
                min: field.min,
                max: field.max,
                range: (field.min.into(), field.max.into()),
                half_turn: (f64::from(field.max) - f64::from(field.min) + 1.0) * 0.5,
                middle: (f64::from(field.min) + f64::from(field.max)) * 0.5,
                turns: matches!(field.predict, Predict::Angle | Predict::Turned { .. }),
                has_own_clock: schema.substeps > 0,
                is_paced: false,
                learns: !matches!(
                    motion,
                    Motion::Held | Motion::Flags | Motion::Quaternion { .. } | Motion::Component
                ),
                per_tick: motion.rate().map_or(0.0, |rate| rate.per_tick),
                motion,
                // A quaternion's second and third component.
                has_neighbour: motion == Motion::Component
                    && kind.fields[index - 1].predict == Predict::Component,
            })
            .collect();
        for pair in
            order.windows(2).filter(|pair| kind.moves(pair[0].into()) == kind.moves(pair[1].into()))
        {
            let [before, this] = [pair[0], pair[1]].map(|index| &kind.fields[usize::from(index)]);
            fields[usize::from(pair[1])].has_neighbour = before.step == this.step
                && std::mem::discriminant(&before.predict) == std::mem::discriminant(&this.predict);
        }
        let of = |moves: &dyn Fn(Motion) -> bool| {
            let moves = |index: &&u8| moves(fields[usize::from(**index)].motion);
            order.iter().filter(moves).copied().collect::<Vec<_>>()
        };
        // Fields whose rates are coded before the moment.
        let is_paced = |motion| matches!(motion, Motion::Carried(by) if rounds[by.index] == 0);
        let carried = of(&is_paced);
        let paced = match (schema.substeps, carried.is_empty()) {
            (0, _) => vec![],
            (1.., false) => carried,
            (1.., true) => of(&|motion| motion == Motion::Linear),
        };
        paced.iter().for_each(|&index| fields[usize::from(index)].is_paced = true);
        let (movers, stills): (Vec<u8>, Vec<u8>) =
            order.iter().partition(|&&index| kind.moves(index.into()));
        let runs = |order: &[u8]| {
            let mut runs: Vec<Run> = Vec::new();
            for index in order.iter().map(|&index| usize::from(index)) {
                let is_after_moment =
                    paced.first().is_some_and(|&first| index == usize::from(first));
                let motion = fields[index].motion;
                match runs.last_mut().filter(|_| !is_after_moment) {
                    Some(run) if run.continues(motion, index, &rounds) => run.len += 1,
                    _ => runs.push(Run { first: index, len: 1, motion, is_after_moment }),
                }
            }
            runs
        };
        let (movers, stills) = (runs(&movers), runs(&stills));
        let places: Vec<_> = (0..fields.len()).collect();
        let ranges = places.chunk_by(|&before, &this| kind.moves(before) == kind.moves(this));
        let (moving, resting) = (ranges.map(|range| range[0]..range[0] + range.len()))
            .partition(|range| kind.moves(range.start));
        Self { first_slot, fields, movers, stills, moving, resting, paced }
    }
}

impl Run {
    /// Whether the next field in coding order belongs to this run.
    fn continues(&self, motion: Motion, index: usize, rounds: &[usize]) -> bool {
        let is_next = index == self.first + self.len && rounds[index] == rounds[self.first];
        is_next
            && match (self.motion, motion) {
                (Motion::Held, Motion::Held)
                | (Motion::Linear, Motion::Linear)
                | (Motion::Angle, Motion::Angle) => true,
                (Motion::Carried(first), Motion::Carried(by))
                | (Motion::Turned(first), Motion::Turned(by)) => by.index == first.index + self.len,
                _ => false,
            }
    }
}

impl FieldPlan {
    /// Whether a value is in the field's range.
    #[inline(always)]
    pub(super) fn holds(&self, value: i32) -> bool {
        (self.min..=self.max).contains(&value)
    }

    /// The value that a spawned entity's is coded as a difference from.
    pub(super) fn usual(&self) -> i32 {
        0.clamp(self.min, self.max)
    }

    /// Bits of a plain value.
    pub(super) fn width(&self) -> u32 {
        32 - self.max.wrapping_sub(self.min).cast_unsigned().leading_zeros()
    }
}

fn motion(kind: &KindSchema, index: usize, hz: f64) -> Motion {
    let field = &kind.fields[index];
    let step = |index: u8| f64::from(kind.fields[usize::from(index)].step);
    let rate = |index: u8| Rate {
        index: index.into(),
        per_tick: step(index) / f64::from(field.step) / hz,
    };
    match field.predict {
        // Flags that are another field's rate are coded as a number.
        Predict::Flags if !kind.moves(index) => Motion::Flags,
        Predict::Held | Predict::Counter | Predict::Flags => Motion::Held,
        Predict::Linear => Motion::Linear,
        Predict::Carried { rate: index } => Motion::Carried(rate(index)),
        Predict::Angle => Motion::Angle,
        Predict::Turned { rate: index } => Motion::Turned(rate(index)),
        Predict::Quaternion { spin } => {
            let spin = spin.map(|first| Rate { index: first.into(), per_tick: step(first) / hz });
            let one = f64::from(kind.fields[index + 1].max) * std::f64::consts::SQRT_2;
            Motion::Quaternion { spin, scale: one }
        }
        Predict::Component => Motion::Component,
    }
}
