//! The model: a match's statistics, which both ends use. It has one of the [`Family`]'s tables for
//! each context of each field, the weights of a field's forecast, and the likelihood that an entity
//! changes.
//!
//! A model is fixed while it is in use, so a decoder has no statistics to maintain. Every match
//! starts with the same prior; the encoder then finds better models (see [`super::survey`]).

use super::{
    CodecError, MODEL_BYTES_MAX,
    forecast::{FEATURES, WEIGHT_ONE},
    plan::{FieldPlan, Motion, Plan},
    prior,
    range::{RangeDecoder, RangeEncoder},
    table::{Family, Symbol, TOTAL, TOTAL_BITS},
};

/// Number of classes, both of a field's recent activity and of the last forecasts' errors.
pub(super) const CLASSES: usize = 8;
/// Contexts of a field: the last is that of a spawned entity.
pub(super) const CONTEXTS: usize = CLASSES * CLASSES + 1;
/// The context of a spawned entity.
pub(super) const SPAWNED: usize = CONTEXTS - 1;
/// Stands for no table: the plain value, in as many bits as its range needs.
pub(super) const PLAIN: u8 = Family::LEN as u8;
/// Contexts of whether an entity changed.
pub(super) const CHANGE_CONTEXTS: usize = 5 * 4 * 3;

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Model {
    pub(super) kinds: Vec<KindModel>,
    /// By slot: each kind's fields by their place in the row, then its moment.
    pub(super) fields: Vec<FieldModel>,
}

/// The statistics of one kind of entity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct KindModel {
    /// By context, index of the [`Odds`] that an entity changed.
    pub(super) changes: [u8; CHANGE_CONTEXTS],
    /// Index of the [`Odds`] that a changed entity's stills changed too.
    pub(super) stills: u8,
}

/// The statistics of one field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct FieldModel {
    /// In units of 1 / [`WEIGHT_ONE`].
    pub(super) weights: [i8; FEATURES],
    /// A member of the family for each context; [`PLAIN`] is possible for [`SPAWNED`] only.
    pub(super) tables: [u8; CONTEXTS],
}

/// The class of a magnitude: 0 below a half, then one class for each factor of about four.
#[inline]
pub(super) fn class(magnitude: f64) -> usize {
    // Twice the magnitude plus 1 has the exponent 0 below a half, 1 or 2 below 3.5, and so on.
    let twice = 2.0 * magnitude + 1.0;
    let twice = if twice < CLASSED_MAX { twice } else { CLASSED_MAX };
    ((twice.to_bits() >> (f64::MANTISSA_DIGITS - 1)) - (EXPONENT_OF_ONE - 1)) as usize / 2
}

/// Twice a magnitude plus 1, from which on it is in the last class.
pub(super) const CLASSED_MAX: f64 = (1 << (2 * CLASSES - 3)) as f64;

/// The exponent bits of a double from 1 to below 2.
pub(super) const EXPONENT_OF_ONE: u64 = 1023;

/// The class of an amount in a field's steps: that of the amount in eighths.
#[inline]
pub(super) fn class_of(steps: f64) -> usize {
    class(steps * 8.0)
}

/// Sorts of numbers that have the same prior, whatever the game.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sort {
    Held,
    Linear,
    Carried,
    Largest,
    Component,
    Moment,
}

impl Sort {
    pub(super) const ALL: [Self; 6] =
        [Self::Held, Self::Linear, Self::Carried, Self::Largest, Self::Component, Self::Moment];

    pub(super) fn of(motion: Motion) -> Self {
        match motion {
            Motion::Held | Motion::Flags => Self::Held,
            Motion::Linear | Motion::Angle => Self::Linear,
            Motion::Carried(_) | Motion::Turned(_) => Self::Carried,
            Motion::Quaternion { .. } => Self::Largest,
            Motion::Component => Self::Component,
        }
    }
}

/// The likelihoods that a model chooses from, and their costs.
#[derive(Clone, Debug)]
pub(super) struct Odds {
    /// In 2^14, from about 1 in 4096 to about 4095 in 4096.
    pub(super) of: [u16; Self::LEN],
    /// The cost of a no and of a yes, in 1/256 bit.
    pub(super) costs: [[u16; 2]; Self::LEN],
}

impl Odds {
    /// Number of likelihoods.
    pub(super) const LEN: usize = 56;

    pub(super) fn new() -> Self {
        let total = f64::from(TOTAL);
        let mut odds = Self { of: [0; Self::LEN], costs: [[0; 2]; Self::LEN] };
        let mut ratio = 1.0 / 4096.0;
        for (of, costs) in odds.of.iter_mut().zip(&mut odds.costs) {
            let share = (ratio / (1.0 + ratio) * total).floor();
            ratio *= 1.35;
            *of = share as u16;
            let bits = |share: f64| f64::from(TOTAL_BITS) - share.log2();
            *costs = [total - share, share].map(|share| (bits(share) * 256.0) as u16);
        }
        odds
    }

    /// The cost of a no and of a yes, in bits.
    pub(super) fn bits(&self, index: usize) -> [f64; 2] {
        self.costs[index].map(|cost| f64::from(cost) / 256.0)
    }
}

impl Model {
    /// By slot: the weights as factors.
    pub(super) fn factors(&self) -> Vec<[f64; FEATURES]> {
        let factors =
            |field: &FieldModel| field.weights.map(|weight| f64::from(weight) / WEIGHT_ONE);
        self.fields.iter().map(factors).collect()
    }

    /// The model that every match starts with.
    pub(super) fn prior(plan: &Plan) -> Self {
        let moment = FieldModel { weights: [0; FEATURES], tables: prior::tables(Sort::Moment) };
        let mut fields = Vec::with_capacity(plan.slots);
        for kind in &plan.kinds {
            fields.extend(kind.fields.iter().map(FieldModel::prior).chain([moment]));
        }
        Self { kinds: vec![prior::kind(); plan.kinds.len()], fields }
    }

    /// Encodes the model as a message into `bytes`, replacing them.
    pub(super) fn write(&mut self, prior: &Self, coder: &mut RangeEncoder, bytes: &mut Vec<u8>) {
        bytes.clear();
        self.carry(&mut Writer(coder), prior);
        coder.finish(bytes);
    }

    /// Decodes a model from a message.
    pub(super) fn from_bytes(bytes: &[u8], plan: &Plan) -> Result<Self, CodecError> {
        if bytes.len() > MODEL_BYTES_MAX {
            return Err(CodecError::BadModel);
        }
        let prior = Self::prior(plan);
        let mut model = prior.clone();
        let mut reader = Reader { bytes: RangeDecoder::new(bytes), is_bad: false };
        model.carry(&mut reader, &prior);
        if reader.is_bad || !reader.bytes.is_finished() {
            return Err(CodecError::BadModel);
        }
        Ok(model)
    }

    /// Writes or reads all parts, as differences from the prior.
    fn carry(&mut self, carrier: &mut impl Carrier, prior: &Self) {
        for (kind, prior) in self.kinds.iter_mut().zip(&prior.kinds) {
            if carrier.differs(kind != prior) {
                let mut last = 0;
                for (odds, prior) in kind.changes.iter_mut().zip(prior.changes) {
                    *odds = carrier.index(*odds, prior, &mut last, Odds::LEN);
                }
                kind.stills = carrier.index(kind.stills, prior.stills, &mut 0, Odds::LEN);
            }
        }
        for (field, prior) in self.fields.iter_mut().zip(&prior.fields) {
            if carrier.differs(field != prior) {
                field.carry(carrier, prior);
            }
        }
    }
}

impl FieldModel {
    fn prior(plan: &FieldPlan) -> Self {
        let tables = prior::tables(Sort::of(plan.motion));
        let weights = match plan.motion {
            Motion::Linear if plan.is_paced => [64, 0, 0],
            Motion::Linear => [28, 14, 4],
            Motion::Angle => [48, 0, 0],
            Motion::Carried(_) | Motion::Turned(_) => [36, 0, 0],
            Motion::Quaternion { spin: Some(_), .. } => [32, 0, 0],
            Motion::Quaternion { spin: None, .. } => [64, 0, 0],
            Motion::Held | Motion::Flags | Motion::Component => [0, 0, 0],
        };
        Self { weights, tables }
    }

    fn carry(&mut self, carrier: &mut impl Carrier, prior: &Self) {
        for (weight, prior) in self.weights.iter_mut().zip(prior.weights) {
            *weight = carrier.weight(*weight, prior);
        }
        let mut last = 0;
        for (table, prior) in self.tables[..SPAWNED].iter_mut().zip(prior.tables) {
            *table = carrier.index(*table, prior, &mut last, Family::LEN);
        }
        let (spawned, prior) = (&mut self.tables[SPAWNED], prior.tables[SPAWNED]);
        *spawned = carrier.index(*spawned, prior, &mut 0, Family::LEN + 1);
    }
}

/// Writes a model or reads one.
trait Carrier {
    fn differs(&mut self, differs: bool) -> bool;
    fn number(&mut self, scale: u8, number: i32) -> i32;
    fn reject(&mut self);

    /// An index below `end`. Its difference from the prior's is coded relative to the `last` such
    /// difference.
    fn index(&mut self, index: u8, prior: u8, last: &mut i32, end: usize) -> u8 {
        let difference = i32::from(index) - i32::from(prior);
        if self.differs(difference != *last) {
            // A reader may read anything here, and goes on after a bad index.
            let step = self.number(4, difference.wrapping_sub(*last));
            *last = last.wrapping_add(step);
        }
        self.checked(i32::from(prior).wrapping_add(*last), end)
    }

    fn checked(&mut self, index: i32, end: usize) -> u8 {
        match u8::try_from(index) {
            Ok(index) if usize::from(index) < end => index,
            _ => {
                self.reject();
                0
            }
        }
    }

    fn weight(&mut self, weight: i8, prior: i8) -> i8 {
        let difference = self.number(8, i32::from(weight) - i32::from(prior));
        i8::try_from(i32::from(prior).wrapping_add(difference)).unwrap_or_else(|_| {
            self.reject();
            0
        })
    }
}

/// Likelihood in 2^14 that a part of a model differs from the prior, or from the pattern of a list.
const DIFFERS: u16 = 1 << (TOTAL_BITS - 3);

struct Writer<'a>(&'a mut RangeEncoder);

impl Carrier for Writer<'_> {
    fn differs(&mut self, differs: bool) -> bool {
        self.0.bit(DIFFERS, differs);
        differs
    }

    fn number(&mut self, scale: u8, number: i32) -> i32 {
        let symbol = Symbol::of(number).expect("differences between models are below 4096");
        self.0.number(Family::shared().table(scale, 0), symbol);
        number
    }

    fn reject(&mut self) {
        unreachable!("a model's own indices are within their bounds");
    }
}

struct Reader<'a> {
    bytes: RangeDecoder<'a>,
    is_bad: bool,
}

impl Carrier for Reader<'_> {
    fn differs(&mut self, _: bool) -> bool {
        self.bytes.bit(DIFFERS)
    }

    fn number(&mut self, scale: u8, _: i32) -> i32 {
        self.bytes.number(Family::shared().table(scale, 0))
    }

    fn reject(&mut self) {
        self.is_bad = true;
    }
}
