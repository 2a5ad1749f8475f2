//! What the integers in a game's rows, inputs and events mean.
//!
//! A [`Schema`] is data: the server sends it in its welcome, so that a client in any language can
//! read and draw a match that it was not compiled for. It also tells the codec how each field
//! tends to move, which is where most of the compression comes from.

use serde::{Deserialize, Serialize};

/// Entity kinds, fields of a kind, and event kinds that a schema may have at most; a bound on
/// what a hostile schema can make a client reserve.
pub const KINDS_MAX: usize = 32;
/// See [`KINDS_MAX`].
pub const FIELDS_MAX: usize = 32;
/// See [`KINDS_MAX`].
pub const EVENTS_MAX: usize = 64;
/// Bytes in any name.
pub const NAME_BYTES_MAX: usize = 48;

/// Everything that a client must know about a game to take part in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    /// The game's name and, if its author likes, version.
    pub game: String,
    /// Kinds of entity; a row names its kind by the index in this list.
    pub kinds: Vec<KindSchema>,
    /// What only the owner of a seat is told about it, such as ammunition.
    pub owner: Vec<Integer>,
    /// The parts of an input.
    pub input: Vec<Integer>,
    /// Kinds of event; an event names its kind by the index in this list.
    pub events: Vec<EventSchema>,
}

/// One kind of entity: a name and the fields of its rows, in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KindSchema {
    /// For people and for clients in other languages.
    pub name: String,
    /// A row of this kind has one integer for each.
    pub fields: Vec<Field>,
}

/// One field of a row: an integer that stands for a quantity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// Unique within its kind.
    pub name: String,
    /// What one integer step is worth, in the game's own unit (metres, radians, points).
    pub step: f32,
    /// Least and greatest integer, inclusive.
    pub min: i32,
    /// See `min`.
    pub max: i32,
    /// How the value tends to go on.
    pub predict: Predict,
}

/// How a field's next value is guessed from earlier ones. A wrong choice costs bandwidth, never
/// correctness.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub enum Predict {
    /// It stays as it was.
    #[default]
    Held,
    /// It goes on changing at the pace of the last two snapshots.
    Linear,
    /// It is moved by a velocity, which is field `rate` of the same row, in this field's unit per
    /// second.
    Carried {
        /// Index of the velocity among the kind's fields.
        rate: u8,
    },
    /// It turns: `max` is followed by `min`.
    Angle,
    /// It counts up now and then.
    Counter,
    /// Each bit is a switch of its own.
    Flags,
}

/// A plain integer within a range: a part of an input, or of what a seat's owner is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Integer {
    /// Unique within its list.
    pub name: String,
    /// Least value, inclusive.
    pub min: i32,
    /// Greatest value, inclusive.
    pub max: i32,
}

/// A kind of event: a name, and the names of its values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventSchema {
    /// For people and for clients in other languages.
    pub name: String,
    /// An event of this kind has one integer for each.
    pub values: Vec<String>,
}

impl Schema {
    /// An empty schema, to be filled by the methods below.
    #[must_use]
    pub fn new(game: &str) -> Self {
        Self { game: game.into(), ..Self::default() }
    }

    /// Adds a kind of entity. The first is kind 0.
    #[must_use]
    pub fn kind(mut self, name: &str, fields: impl IntoIterator<Item = Field>) -> Self {
        let fields = fields.into_iter().collect();
        self.kinds.push(KindSchema { name: name.into(), fields });
        self
    }

    /// Adds a value that only a seat's owner is told.
    #[must_use]
    pub fn owner(mut self, name: &str, min: i32, max: i32) -> Self {
        self.owner.push(Integer { name: name.into(), min, max });
        self
    }

    /// Adds a part of the input.
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

    /// Whether the schema is one that a match can run on: limits kept, ranges not empty,
    /// references within their kind.
    pub fn validate(&self) -> Result<(), SchemaError> {
        let names = (self.kinds.iter().map(|kind| &kind.name))
            .chain(self.kinds.iter().flat_map(|kind| kind.fields.iter().map(|field| &field.name)))
            .chain(self.owner.iter().chain(&self.input).map(|integer| &integer.name))
            .chain(self.events.iter().map(|event| &event.name))
            .chain(self.events.iter().flat_map(|event| &event.values))
            .chain([&self.game]);
        for name in names {
            if name.len() > NAME_BYTES_MAX {
                return Err(SchemaError::NameTooLong(name.chars().take(16).collect()));
            }
        }
        let too_many = self.kinds.len() > KINDS_MAX
            || self.kinds.iter().any(|kind| kind.fields.len() > FIELDS_MAX)
            || self.owner.len() > FIELDS_MAX
            || self.input.len() > FIELDS_MAX
            || self.events.len() > EVENTS_MAX
            || self.events.iter().any(|event| event.values.len() > FIELDS_MAX);
        if too_many {
            return Err(SchemaError::TooMany);
        }
        self.kinds.iter().try_for_each(KindSchema::validate)?;
        match self.owner.iter().chain(&self.input).find(|integer| integer.min > integer.max) {
            Some(integer) => Err(SchemaError::EmptyRange(integer.name.clone())),
            None => Ok(()),
        }
    }
}

impl KindSchema {
    fn validate(&self) -> Result<(), SchemaError> {
        for field in &self.fields {
            if field.min > field.max {
                return Err(SchemaError::EmptyRange(field.name.clone()));
            }
            if !(field.step.is_finite() && field.step > 0.0) {
                return Err(SchemaError::BadStep(field.name.clone()));
            }
            if let Predict::Carried { rate } = field.predict
                && usize::from(rate) >= self.fields.len()
            {
                return Err(SchemaError::NoSuchRate(field.name.clone()));
            }
        }
        Ok(())
    }
}

impl Field {
    /// A field of integers `min..=max`, each step of which is worth `step`; expected to stay as it
    /// is unless one of the methods below says how it moves.
    #[must_use]
    pub fn new(name: &str, step: f32, min: i32, max: i32) -> Self {
        Self { name: name.into(), step, min, max, predict: Predict::Held }
    }

    /// Says how the value tends to go on.
    #[must_use]
    pub fn predict(mut self, predict: Predict) -> Self {
        self.predict = predict;
        self
    }

    /// The integer nearest to `value`, within the field's range. A NaN becomes the least.
    #[must_use]
    pub fn quantise(&self, value: f32) -> i32 {
        let steps = f64::from(value) / f64::from(self.step);
        (steps.round() as i32).clamp(self.min, self.max)
    }

    /// The quantity that `steps` stands for.
    #[must_use]
    pub fn value(&self, steps: i32) -> f32 {
        steps as f32 * self.step
    }
}

/// Why no match can run on a schema.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SchemaError {
    /// More kinds, fields or events than the limits above allow.
    #[error("the schema has more kinds, fields or events than the protocol allows")]
    TooMany,
    /// The name begins like this.
    #[error("the name that begins with {0:?} is longer than {NAME_BYTES_MAX} bytes")]
    NameTooLong(String),
    /// This field's minimum is above its maximum.
    #[error("{0:?} has its minimum above its maximum")]
    EmptyRange(String),
    /// This field's step is not a positive number.
    #[error("the step of field {0:?} is not a positive number")]
    BadStep(String),
    /// This field says that it is carried by a field that its kind does not have.
    #[error("field {0:?} is carried by a field that its kind does not have")]
    NoSuchRate(String),
}
