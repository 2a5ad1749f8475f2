//! Checks that a game's rows and events fit its schema, with errors that help the game's author.
//!
//! A client could not decode what does not fit, so the match of such a game ends.

use crate::{
    codec::ENTITIES_MAX,
    game::Events,
    ids::{EntityId, Seat, Viewer},
    link::integers,
    rows::Rows,
    schema::{Field, Schema},
};

/// The first mismatch between a game's output and its schema.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Misfit {
    /// There are more than [`ENTITIES_MAX`] rows.
    #[error("{entities} entities exceed the limit of {ENTITIES_MAX}")]
    Entities {
        /// The number of rows.
        entities: usize,
    },
    /// The schema has no such kind of entity.
    #[error("entity {} has kind {kind}, but the schema has {kinds} kinds, counted from 0", id.0)]
    RowKind {
        /// The entity.
        id: EntityId,
        /// The row's kind.
        kind: u8,
        /// The number of kinds in the schema.
        kinds: usize,
    },
    /// An id is above [`EntityId::MAX`], which the codec can't encode.
    #[error("the entity id {} exceeds the largest, {}", u32::MAX, EntityId::MAX.0)]
    RowId,
    /// A row has more or fewer values than its kind has fields.
    #[error("{kind} {} has {values} values, but its kind has {fields} fields", id.0)]
    RowLength {
        /// The entity.
        id: EntityId,
        /// The name of its kind.
        kind: String,
        /// The row's number of values.
        values: usize,
        /// The kind's number of fields.
        fields: usize,
    },
    /// A value is out of its field's range.
    #[error("{field} of {kind} {} is {value}, outside {min} to {max}", id.0)]
    RowValue {
        /// The entity.
        id: EntityId,
        /// The name of its kind.
        kind: String,
        /// The name of the field.
        field: String,
        /// The value.
        value: i32,
        /// The field's least value.
        min: i32,
        /// The field's greatest value.
        max: i32,
    },
    /// A value of the owner's state is out of its range.
    #[error("{name} of seat {} is {value}, outside {min} to {max}", seat.0)]
    OwnerValue {
        /// The owner's seat.
        seat: Seat,
        /// The name of the schema's `owner` integer.
        name: String,
        /// The value.
        value: i32,
        /// The integer's least value.
        min: i32,
        /// The integer's greatest value.
        max: i32,
    },
    /// A player belongs to a viewer that does not exist.
    #[error("seat {} has viewer {}, but with {seats} seats the last is {}", seat.0, viewer.0, seats - 1)]
    Viewer {
        /// The player's seat.
        seat: Seat,
        /// The viewer.
        viewer: Viewer,
        /// The number of seats.
        seats: u16,
    },
    /// The schema has no such kind of event.
    #[error("an event has kind {kind}, but the schema has {kinds} kinds, counted from 0")]
    EventKind {
        /// The event's kind.
        kind: u8,
        /// The number of event kinds in the schema.
        kinds: usize,
    },
    /// An event has more or fewer values than its kind names.
    #[error("an event {kind} has {values} values, but its kind has {names}")]
    EventLength {
        /// The name of the event's kind.
        kind: String,
        /// The event's number of values.
        values: usize,
        /// The number of values that its kind names.
        names: usize,
    },
}

impl Schema {
    /// Checks the number, kinds and values of rows.
    pub fn check_rows(&self, rows: &Rows) -> Result<(), Misfit> {
        if rows.len() > ENTITIES_MAX {
            return Err(Misfit::Entities { entities: rows.len() });
        }
        for row in rows.iter() {
            let (id, kinds) = (row.id, self.kinds.len());
            if id > EntityId::MAX {
                return Err(Misfit::RowId);
            }
            let kind = self.kinds.get(usize::from(row.kind));
            let kind = kind.ok_or(Misfit::RowKind { id, kind: row.kind, kinds })?;
            let (values, fields) = (row.values.len(), kind.fields.len());
            if values != fields {
                return Err(Misfit::RowLength { id, kind: kind.name.clone(), values, fields });
            }
            let mut pairs = kind.fields.iter().zip(row.values);
            // Without a branch for each value: all are within their ranges unless the game is wrong.
            let is_off = |off, (f, v): (&Field, &i32)| off | (*v < f.min) | (*v > f.max);
            if pairs.clone().fold(false, is_off)
                && let Some((field, &value)) = pairs.find(|(f, v)| !(f.min..=f.max).contains(v))
            {
                let (kind, min, max) = (kind.name.clone(), field.min, field.max);
                return Err(Misfit::RowValue {
                    id,
                    kind,
                    field: field.name.clone(),
                    value,
                    min,
                    max,
                });
            }
        }
        Ok(())
    }

    /// Packs the owner's values of `seat` into `out`, if they are within their ranges.
    pub fn pack_owner(&self, seat: Seat, values: &[i32], out: &mut Vec<u8>) -> Result<(), Misfit> {
        integers::pack(&self.owner, values, out).map_err(|error| {
            let (name, min, max) =
                (error.integer.name.clone(), error.integer.min, error.integer.max);
            Misfit::OwnerValue { seat, name, value: error.value, min, max }
        })
    }

    /// Checks the kinds of events and their numbers of values.
    pub fn check_events(&self, events: &Events) -> Result<(), Misfit> {
        for event in events.iter() {
            let kind = self.events.get(usize::from(event.kind));
            let kinds = self.events.len();
            let kind = kind.ok_or(Misfit::EventKind { kind: event.kind, kinds })?;
            let (values, names) = (event.values.len(), kind.values.len());
            if values != names {
                return Err(Misfit::EventLength { kind: kind.name.clone(), values, names });
            }
        }
        Ok(())
    }
}

/// Checks the viewer of a seat in a match with so many seats.
pub fn check_viewer(seat: Seat, viewer: Viewer, seats: u16) -> Result<(), Misfit> {
    if viewer.0 < seats { Ok(()) } else { Err(Misfit::Viewer { seat, viewer, seats }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Field;

    #[test]
    fn rows_that_do_not_fit_are_reported() {
        let says = |kind, values: &[i32]| {
            let mut rows = Rows::default();
            rows.push(EntityId(7), kind, values);
            schema().check_rows(&rows).err().map(|misfit| misfit.to_string())
        };
        assert_eq!(says(0, &[0, 9]), None);
        assert_eq!(
            says(1, &[]).unwrap(),
            "entity 7 has kind 1, but the schema has 1 kinds, counted from 0"
        );
        assert_eq!(says(0, &[5]).unwrap(), "cart 7 has 1 values, but its kind has 2 fields");
        assert_eq!(says(0, &[0, 10]).unwrap(), "y of cart 7 is 10, outside 0 to 9");
        assert_eq!(says(0, &[-1, 0]).unwrap(), "x of cart 7 is -1, outside 0 to 9");
        let mut crowd = Rows::default();
        (0..=ENTITIES_MAX as u32).for_each(|id| crowd.push(EntityId(id), 0, &[0, 0]));
        let misfit = schema().check_rows(&crowd).unwrap_err();
        assert_eq!(misfit.to_string(), "4097 entities exceed the limit of 4096");
        let mut last = Rows::default();
        last.push(EntityId::MAX, 0, &[0, 0]);
        assert_eq!(schema().check_rows(&last), Ok(()));
        last.push(EntityId(u32::MAX), 0, &[0, 0]);
        assert_eq!(schema().check_rows(&last), Err(Misfit::RowId));
    }

    #[test]
    fn events_that_do_not_fit_are_reported() {
        let says = |kind, values: &[i32]| {
            let mut events = Events::default();
            events.all(0, &[1]);
            events.all(kind, values);
            schema().check_events(&events).err().map(|misfit| misfit.to_string())
        };
        assert_eq!(says(0, &[2]), None);
        assert_eq!(
            says(1, &[2]).unwrap(),
            "an event has kind 1, but the schema has 1 kinds, counted from 0"
        );
        assert_eq!(says(0, &[]).unwrap(), "an event crash has 0 values, but its kind has 1");
    }

    #[test]
    fn owner_values_that_do_not_fit_are_reported() {
        let schema = schema().owner("ammo", 0, 9).owner("fuel", -1, 1);
        let mut out = Vec::new();
        assert_eq!(schema.pack_owner(Seat(3), &[9, -1], &mut out), Ok(()));
        let misfit = schema.pack_owner(Seat(3), &[0, 2], &mut out).unwrap_err();
        assert_eq!(misfit.to_string(), "fuel of seat 3 is 2, outside -1 to 1");
    }

    fn schema() -> Schema {
        let place = |name| Field::new(name, 1.0, 0, 9);
        Schema::new("carts").kind("cart", [place("x"), place("y")]).event("crash", ["seat"])
    }
}
