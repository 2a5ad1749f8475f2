//! Checks that a game's rows and events fit its schema, with errors that help the game's author.
//!
//! A client could not decode what does not fit, so the match of such a game ends.

use crate::{
    codec::ENTITIES_MAX,
    game::Events,
    ids::{EntityId, Seat, Viewer},
    link::integers::{self, OutOfRange},
    rows::Rows,
    schema::{Field, Schema},
};

/// The first mismatch between a game's output and its schema: one line for the game's author.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Misfit(String);

impl Schema {
    /// Checks the number, kinds and values of rows.
    pub fn check_rows(&self, rows: &Rows) -> Result<(), Misfit> {
        let misfit = |what: String| Err(Misfit(what));
        if rows.len() > ENTITIES_MAX {
            return misfit(format!("{} entities exceed the limit of {ENTITIES_MAX}", rows.len()));
        }
        for row in rows.iter() {
            let id = row.id.0;
            if row.id > EntityId::MAX {
                let max = EntityId::MAX.0;
                return misfit(format!("the entity id {id} exceeds the largest, {max}"));
            }
            let Some(kind) = self.kinds.get(usize::from(row.kind)) else {
                let (kind, kinds) = (row.kind, self.kinds.len());
                return misfit(format!(
                    "entity {id} has kind {kind}, but the schema has {kinds} kinds, counted from 0"
                ));
            };
            let (name, values, fields) = (&kind.name, row.values.len(), kind.fields.len());
            if values != fields {
                return misfit(format!(
                    "{name} {id} has {values} values, but its kind has {fields} fields"
                ));
            }
            let mut pairs = kind.fields.iter().zip(row.values);
            // Without a branch for each value: all are within their ranges unless the game is wrong.
            let is_off = |off, (f, v): (&Field, &i32)| off | (*v < f.min) | (*v > f.max);
            if pairs.clone().fold(false, is_off)
                && let Some((field, value)) = pairs.find(|(f, v)| !(f.min..=f.max).contains(v))
            {
                let Field { name: field, min, max, .. } = field;
                return misfit(format!(
                    "{field} of {name} {id} is {value}, outside {min} to {max}"
                ));
            }
        }
        Ok(())
    }

    /// Packs the owner's values of `seat` into `out`, if they are within their ranges.
    pub fn pack_owner(&self, seat: Seat, values: &[i32], out: &mut Vec<u8>) -> Result<(), Misfit> {
        integers::pack(&self.owner, values, out).map_err(|OutOfRange { integer, value }| {
            let (name, min, max) = (&integer.name, integer.min, integer.max);
            Misfit(format!("{name} of seat {} is {value}, outside {min} to {max}", seat.0))
        })
    }

    /// Checks the kinds of events and their numbers of values.
    pub fn check_events(&self, events: &Events) -> Result<(), Misfit> {
        for event in events.iter() {
            let Some(kind) = self.events.get(usize::from(event.kind)) else {
                let (kind, kinds) = (event.kind, self.events.len());
                return Err(Misfit(format!(
                    "an event has kind {kind}, but the schema has {kinds} kinds, counted from 0"
                )));
            };
            let (name, values, names) = (&kind.name, event.values.len(), kind.values.len());
            if values != names {
                return Err(Misfit(format!(
                    "an event {name} has {values} values, but its kind has {names}"
                )));
            }
        }
        Ok(())
    }
}

/// Checks the viewer of a seat in a match with so many seats.
pub fn check_viewer(seat: Seat, viewer: Viewer, seats: u16) -> Result<(), Misfit> {
    if viewer.0 < seats {
        return Ok(());
    }
    let (Seat(seat), Viewer(viewer), last) = (seat, viewer, seats - 1);
    Err(Misfit(format!(
        "seat {seat} has viewer {viewer}, but with {seats} seats the last is {last}"
    )))
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
        let misfit = schema().check_rows(&last).unwrap_err();
        assert_eq!(misfit.to_string(), "the entity id 4294967295 exceeds the largest, 4294967294");
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
