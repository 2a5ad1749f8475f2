//! What the integers in a game's rows, inputs and events mean.
//!
//! A [`Schema`] is data: the server sends it in its welcome, so that a client in any language can
//! read and draw a match that it was not compiled for. It also tells the codec how each field
//! tends to move, which is where most of the compression comes from.

mod validity;

use serde::{Deserialize, Serialize};

use crate::{codec::turn, ids::EntityId};
pub use validity::SchemaError;

/// Most entity kinds of a schema. With the limits below it bounds how much memory a hostile schema
/// can make a client reserve.
pub const KINDS_MAX: usize = 32;
/// Most fields of a kind, integers of an input or owner, and values of an event.
pub const FIELDS_MAX: usize = 32;
/// Most event kinds of a schema.
pub const EVENTS_MAX: usize = 64;
/// Most bytes of a name.
pub const NAME_BYTES_MAX: usize = 48;

/// Everything that a client must know about a game to play it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    /// The game's name, optionally with a version.
    pub game: String,
    /// Kinds of entity; a row names its kind by the index in this list.
    pub kinds: Vec<KindSchema>,
    /// Physics steps per tick, for a game whose physics does not run in step with ticks: a row may
    /// show its entity at any of these steps, and rows of one tick may differ in this. 0: every row
    /// shows its entity at the tick.
    pub substeps: u8,
    /// State that only the player in a seat receives, such as ammunition.
    pub owner: Vec<Integer>,
    /// The integers of an input.
    pub input: Vec<Integer>,
    /// Kinds of event; an event names its kind by the index in this list.
    pub events: Vec<EventSchema>,
}

/// One kind of entity: a name and the fields of its rows, in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KindSchema {
    /// The kind's name, for people and for clients in other languages.
    pub name: String,
    /// A row of this kind has one integer for each field.
    pub fields: Vec<Field>,
    /// Set if these entities are the players: the id of the entity of seat 0. The entity of seat
    /// `n` has this id plus `n`.
    pub first_seat: Option<EntityId>,
}

/// One field of a row: an integer that stands for a quantity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// Unique within its kind.
    pub name: String,
    /// What one integer step is worth, in the game's own unit (metres, radians, points).
    pub step: f32,
    /// Least integer, inclusive.
    pub min: i32,
    /// Greatest integer, inclusive.
    pub max: i32,
    /// How the value tends to change.
    pub predict: Predict,
}

/// How a field tends to change: the codec forecasts its next value by this, and clients show it
/// between two snapshots by this. A wrong choice costs bandwidth, or smooth motion on the screen;
/// rows are exact with any.
///
/// A position that is [`Predict::Held`], as a new field is, jumps from tick to tick: it should be
/// [`Predict::Linear`] or [`Predict::Carried`]. Prediction of a player's own moves is another matter:
/// see [`Predictor`](crate::replica::Predictor).
///
/// A field's rate is encoded before the field itself, whatever their order in the row.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub enum Predict {
    /// It keeps its value, and is not interpolated.
    #[default]
    Held,
    /// It keeps changing at the pace of the last snapshots. In a row without a [`Predict::Carried`]
    /// field it is interpolated over any distance, so that a teleport looks like a very fast move.
    Linear,
    /// It moves with a velocity: field `rate` of the same row, in this field's unit per second. It is
    /// not interpolated over a distance that the velocity's range does not allow, such as a teleport,
    /// and keeps moving for a moment if the next snapshot is late.
    Carried {
        /// Index of the velocity among the kind's fields.
        rate: u8,
    },
    /// An angle: it wraps around from `max` to `min`, and keeps changing like [`Predict::Linear`].
    /// Wrap it after rounding, as in `(turns * 256.0).round() as i32 & 255`: an angle just below a
    /// full turn is rounded to one.
    Angle,
    /// An [`Predict::Angle`] that turns with an angular velocity: field `rate` of the same row, in
    /// this field's unit per second.
    Turned {
        /// Index of the angular velocity among the kind's fields.
        rate: u8,
    },
    /// It counts up occasionally, and is not interpolated.
    Counter,
    /// Each bit is an independent flag. It is not interpolated.
    Flags,
    /// The first of four fields that form a unit quaternion: the index (among x, y, z, w) of its
    /// largest component, which is positive and not stored. See [`Field::quaternion`].
    Quaternion {
        /// Index of the first of three fields x, y and z: the angular velocity about the world's
        /// axes, in radians per second. `None` when rows have no angular velocity.
        spin: Option<u8>,
    },
    /// One of the three fields after a [`Predict::Quaternion`]: its other components, in order.
    Component,
}

impl Predict {
    /// The fields that hold this field's velocity: the index of the first, and how many.
    #[must_use]
    pub const fn rates(self) -> Option<(usize, usize)> {
        match self {
            Self::Carried { rate } | Self::Turned { rate } => Some((rate as usize, 1)),
            Self::Quaternion { spin: Some(spin) } => Some((spin as usize, 3)),
            Self::Held
            | Self::Linear
            | Self::Angle
            | Self::Counter
            | Self::Flags
            | Self::Quaternion { spin: None }
            | Self::Component => None,
        }
    }
}

/// An integer within a range: part of an input, or of the state that only a seat's owner receives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Integer {
    /// Unique within its list.
    pub name: String,
    /// Least value, inclusive.
    pub min: i32,
    /// Greatest value, inclusive.
    pub max: i32,
}

impl Integer {
    /// The value nearest to 0: that of a key that is not pressed.
    #[must_use]
    pub fn neutral(&self) -> i32 {
        0.clamp(self.min, self.max)
    }

    /// Whether a value is within its range.
    #[must_use]
    #[inline]
    pub fn holds(&self, value: i32) -> bool {
        (self.min..=self.max).contains(&value)
    }
}

/// A kind of event: a name, and the names of its values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventSchema {
    /// The event's name, for people and for clients in other languages.
    pub name: String,
    /// Names of the values: an event of this kind has one integer for each.
    pub values: Vec<String>,
}

impl Schema {
    /// An empty schema; add to it with the methods below.
    #[must_use]
    pub fn new(game: &str) -> Self {
        Self { game: game.into(), ..Self::default() }
    }

    /// Adds a kind of entity. The first is kind 0.
    #[must_use]
    pub fn kind(mut self, name: &str, fields: impl IntoIterator<Item = Field>) -> Self {
        let fields = fields.into_iter().collect();
        self.kinds.push(KindSchema { name: name.into(), fields, first_seat: None });
        self
    }

    /// Adds the kind of the players' entities: the player in seat `n` is entity `first + n`. This
    /// lets a client that was not built for the game find each player's entity.
    #[must_use]
    pub fn players(
        self,
        name: &str,
        first: EntityId,
        fields: impl IntoIterator<Item = Field>,
    ) -> Self {
        let mut schema = self.kind(name, fields);
        schema.kinds.last_mut().expect("it was just added").first_seat = Some(first);
        schema
    }

    /// Sets the physics steps per tick; see the field of this name.
    #[must_use]
    pub fn substeps(mut self, substeps: u8) -> Self {
        self.substeps = substeps;
        self
    }

    /// Adds an integer that only a seat's owner receives.
    #[must_use]
    pub fn owner(mut self, name: &str, min: i32, max: i32) -> Self {
        self.owner.push(Integer { name: name.into(), min, max });
        self
    }

    /// Adds an integer to the input.
    #[must_use]
    pub fn input(mut self, name: &str, min: i32, max: i32) -> Self {
        self.input.push(Integer { name: name.into(), min, max });
        self
    }

    /// Adds a kind of event. The first is kind 0.
    #[must_use]
    pub fn event<'a>(mut self, name: &str, values: impl IntoIterator<Item = &'a str>) -> Self {
        let values = values.into_iter().map(String::from).collect();
        self.events.push(EventSchema { name: name.into(), values });
        self
    }
}

impl KindSchema {
    /// Whether a field is expected to change continually (a *mover*) rather than occasionally (a
    /// *still*).
    pub(crate) fn moves(&self, index: usize) -> bool {
        match self.fields[index].predict {
            Predict::Held | Predict::Counter | Predict::Flags => {
                let rates = self.fields.iter().filter_map(|field| field.predict.rates());
                rates.into_iter().any(|(rate, count)| (rate..rate + count).contains(&index))
            }
            Predict::Linear
            | Predict::Carried { .. }
            | Predict::Angle
            | Predict::Turned { .. }
            | Predict::Quaternion { .. }
            | Predict::Component => true,
        }
    }

    /// The round in which each field is encoded: one after the last of its rates, 0 for a field
    /// without rates. A quaternion's components share its round. `None` when rates form a cycle.
    pub(crate) fn coding_rounds(&self) -> Option<Vec<usize>> {
        let mut rounds = vec![0; self.fields.len()];
        for _ in 0..=self.fields.len() {
            let before = rounds.clone();
            for (i, field) in self.fields.iter().enumerate() {
                if let Some((rate, count)) = field.predict.rates() {
                    rounds[i] = 1 + rounds[rate..rate + count].iter().max().unwrap_or(&0);
                } else if field.predict == Predict::Component {
                    rounds[i] = rounds[i - 1];
                }
            }
            if rounds == before {
                return Some(rounds);
            }
        }
        None
    }

    /// The order in which a row's fields are encoded: movers before stills, then by round, then as
    /// in the row. A quaternion's components are not listed: they are encoded right after it.
    pub(crate) fn coding_order(&self, rounds: &[usize]) -> Vec<u8> {
        let is_listed = |i: &u8| self.fields[usize::from(*i)].predict != Predict::Component;
        let mut order: Vec<u8> = (0..self.fields.len() as u8).filter(is_listed).collect();
        order.sort_by_key(|&i| (!self.moves(i.into()), rounds[usize::from(i)]));
        order
    }
}

impl Field {
    /// A field of integers `min..=max`, one of which is worth `step`. It is expected to keep its
    /// value, and is not interpolated, unless [`Field::predict`] says otherwise.
    #[must_use]
    pub fn new(name: &str, step: f32, min: i32, max: i32) -> Self {
        Self { name: name.into(), step, min, max, predict: Predict::Held }
    }

    /// The four fields of a unit quaternion by its smallest three components, `bits` bits each. The
    /// largest can be computed from them, so only its index is stored. Write the fields with
    /// [`pack_quaternion`], and read them with [`unpack_quaternion`]; for `spin` see
    /// [`Predict::Quaternion`].
    #[must_use]
    pub fn quaternion(name: &str, bits: u8, spin: Option<u8>) -> [Self; 4] {
        let max = component_max(bits);
        let step = std::f32::consts::FRAC_1_SQRT_2 / max as f32;
        let component = |part: &str| {
            Self::new(&format!("{name}.{part}"), step, -max, max).predict(Predict::Component)
        };
        let largest = Self::new(&format!("{name}.largest"), 1.0, 0, 3);
        let largest = largest.predict(Predict::Quaternion { spin });
        [largest, component("a"), component("b"), component("c")]
    }

    /// Sets how the value tends to change.
    #[must_use]
    pub fn predict(mut self, predict: Predict) -> Self {
        self.predict = predict;
        self
    }

    /// The integer nearest to `value`, which is in the game's own unit, clamped to the field's range.
    /// NaN counts as 0.
    #[must_use]
    pub fn quantise(&self, value: f32) -> i32 {
        let steps = f64::from(value) / f64::from(self.step);
        (steps.round() as i32).clamp(self.min, self.max)
    }

    /// The quantity that `steps` stands for, in the game's own unit.
    #[must_use]
    pub fn value(&self, steps: i32) -> f32 {
        steps as f32 * self.step
    }
}

/// The largest value of a quaternion's component of so many bits, which stands for the square root
/// of 1/2: no component but the largest is longer.
fn component_max(bits: u8) -> i32 {
    (1 << (bits.clamp(2, 24) - 1)) - 1
}

/// The integers for the fields of [`Field::quaternion`], for a unit quaternion (x, y, z, w).
#[must_use]
pub fn pack_quaternion(quaternion: [f32; 4], bits: u8) -> [i32; 4] {
    let max = component_max(bits);
    let mut largest = 0;
    for i in 1..4 {
        if quaternion[i].abs() > quaternion[largest].abs() {
            largest = i;
        }
    }
    let sign = if quaternion[largest] < 0.0 { -1.0 } else { 1.0 };
    let scale = sign * f64::from(max) * std::f64::consts::SQRT_2;
    let mut packed = [largest as i32, 0, 0, 0];
    let rest = (0..4).filter(|&i| i != largest);
    for (part, i) in packed[1..].iter_mut().zip(rest) {
        *part = ((f64::from(quaternion[i]) * scale).round() as i32).clamp(-max, max);
    }
    packed
}

/// The unit quaternion (x, y, z, w) that the values of the fields of [`Field::quaternion`] stand
/// for, as in a row or interpolated.
#[must_use]
pub fn unpack_quaternion([largest, a, b, c]: [f32; 4], bits: u8) -> [f32; 4] {
    let max = component_max(bits);
    let per_step = std::f64::consts::FRAC_1_SQRT_2 / f64::from(max);
    turn::unpack(largest as i32, &[a, b, c], per_step).map(|component| component as f32)
}
