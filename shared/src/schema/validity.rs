//! Validation of a schema: by a server when it starts, so that the game's author sees the error,
//! and by a client when it receives the welcome.

use super::{
    EVENTS_MAX, FIELDS_MAX, Field, Integer, KINDS_MAX, KindSchema, NAME_BYTES_MAX, Predict, Schema,
};

/// Why a schema is not valid: one line for the game's author.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct SchemaError(String);

impl Schema {
    /// Checks that a match can run on the schema: limits, unique names, non-empty ranges, and
    /// references within their kind.
    pub fn validate(&self) -> Result<(), SchemaError> {
        check_name(&self.game)?;
        check_parts("the schema", "kinds", KINDS_MAX, self.kinds.iter().map(|kind| &kind.name))?;
        for (whole, parts, integers) in [
            ("the owner", "owner's integers", &self.owner),
            ("the input", "parts of an input", &self.input),
        ] {
            check_parts("the schema", parts, FIELDS_MAX, integers.iter().map(|part| &part.name))?;
            for Integer { name, min, max } in integers {
                check_range(whole, name, *min, *max)?;
            }
        }
        check_parts(
            "the schema",
            "events",
            EVENTS_MAX,
            self.events.iter().map(|event| &event.name),
        )?;
        for event in &self.events {
            check_parts(&event.name, "values", FIELDS_MAX, event.values.iter())?;
        }
        self.kinds.iter().try_for_each(KindSchema::validate)
    }
}

impl KindSchema {
    fn validate(&self) -> Result<(), SchemaError> {
        let kind = &self.name;
        check_parts(kind, "fields", FIELDS_MAX, self.fields.iter().map(|field| &field.name))?;
        for Field { name, step, min, max, predict } in &self.fields {
            check_range(kind, name, *min, *max)?;
            if !(step.is_finite() && *step > 0.0) {
                return fail(format!("the step of {name:?} of {kind} is not a positive number"));
            }
            if let Some((rate, count)) = predict.rates()
                && rate + count > self.fields.len()
            {
                return fail(format!("the rate of {name:?} of {kind} is not a field of its kind"));
            }
        }
        self.validate_quaternions()?;
        match self.coding_rounds() {
            Some(_) => Ok(()),
            None => fail(format!("the rates of kind {kind:?} form a cycle")),
        }
    }

    fn validate_quaternions(&self) -> Result<(), SchemaError> {
        let bad = |field: &Field| {
            let (field, kind) = (&field.name, &self.name);
            fail(format!("{field:?} of {kind} is not one of four that make a quaternion"))
        };
        let mut components_due = 0;
        for (i, field) in self.fields.iter().enumerate() {
            let is_component = field.predict == Predict::Component;
            if is_component != (components_due > 0) {
                return bad(field);
            }
            if is_component {
                let first = &self.fields[i + components_due - 3];
                let same = (field.min, field.max) == (first.min, first.max);
                if !same || i32::checked_neg(field.min) != Some(field.max) || field.max == 0 {
                    return bad(field);
                }
                components_due -= 1;
            }
            if let Predict::Quaternion { .. } = field.predict {
                if (field.min, field.max) != (0, 3) || i + 3 >= self.fields.len() {
                    return bad(field);
                }
                components_due = 3;
            }
        }
        Ok(())
    }
}

/// Checks that a list has at most `max` entries, with valid and unique names.
fn check_parts<'a>(
    whole: &str,
    parts: &str,
    max: usize,
    names: impl ExactSizeIterator<Item = &'a String> + Clone,
) -> Result<(), SchemaError> {
    let count = names.len();
    if count > max {
        return fail(format!("{whole} has {count} {parts}, more than {max}"));
    }
    for (i, name) in names.clone().enumerate() {
        check_name(name)?;
        if names.clone().take(i).any(|other| other == name) {
            return fail(format!("two {parts} of {whole} have the name {name:?}"));
        }
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), SchemaError> {
    if name.len() > NAME_BYTES_MAX {
        let begin: String = name.chars().take(16).collect();
        return fail(format!(
            "the name that begins with {begin:?} is longer than {NAME_BYTES_MAX} bytes"
        ));
    }
    if name.is_empty() || name.contains(char::is_control) {
        return fail(format!("{name:?} is not a valid name"));
    }
    Ok(())
}

fn check_range(whole: &str, name: &str, min: i32, max: i32) -> Result<(), SchemaError> {
    if min <= max {
        return Ok(());
    }
    fail(format!("{name:?} of {whole} has its minimum above its maximum"))
}

fn fail(why: String) -> Result<(), SchemaError> {
    Err(SchemaError(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_makes_sense_or_it_is_said_why_not() {
        let says = |schema: &Schema| match schema.validate() {
            Ok(()) => String::new(),
            Err(error) => error.to_string(),
        };
        let x = || Field::new("x", 1.0, 0, 9);
        let with = |fields: Vec<Field>| Schema::new("carts").kind("cart", fields);
        assert_eq!(says(&with(vec![x()])), "");
        let many = (0..33).map(|n| Field::new(&format!("f{n}"), 1.0, 0, 9)).collect();
        assert_eq!(says(&with(many)), "cart has 33 fields, more than 32");
        assert_eq!(says(&with(vec![x(), x()])), "two fields of cart have the name \"x\"");
        let again = with(vec![x()]).kind("cart", [x()]);
        assert_eq!(says(&again), "two kinds of the schema have the name \"cart\"");
        let event = with(vec![]).event("crash", ["seat", "seat"]);
        assert_eq!(says(&event), "two values of crash have the name \"seat\"");
        let lines = with(vec![]).event("a\nevent: b", []);
        assert_eq!(says(&lines), "\"a\\nevent: b\" is not a valid name");
        let long = with(vec![Field::new(&"x".repeat(49), 1.0, 0, 9)]);
        assert!(says(&long).ends_with("is longer than 48 bytes"));
        let empty = with(vec![Field::new("x", 1.0, 9, 0)]);
        assert_eq!(says(&empty), "\"x\" of cart has its minimum above its maximum");
        let still = with(vec![Field::new("x", 0.0, 0, 9)]);
        assert_eq!(says(&still), "the step of \"x\" of cart is not a positive number");
        let input = with(vec![]).input("x", 1, 0);
        assert_eq!(says(&input), "\"x\" of the input has its minimum above its maximum");
        let owner = with(vec![]).owner("x", 1, 0);
        assert_eq!(says(&owner), "\"x\" of the owner has its minimum above its maximum");
        let carried = |rate| with(vec![x().predict(Predict::Carried { rate })]);
        assert_eq!(says(&carried(1)), "the rate of \"x\" of cart is not a field of its kind");
        assert_eq!(says(&carried(0)), "the rates of kind \"cart\" form a cycle");
        let half = with(vec![x().predict(Predict::Component)]);
        assert_eq!(says(&half), "\"x\" of cart is not one of four that make a quaternion");
        let turn = |largest: i32, parts: &[(i32, i32)]| {
            let first =
                Field::new("x", 1.0, 0, largest).predict(Predict::Quaternion { spin: None });
            let part = |(n, &(min, max)): (usize, &(i32, i32))| {
                Field::new(&format!("part{n}"), 1.0, min, max).predict(Predict::Component)
            };
            says(&with([first].into_iter().chain(parts.iter().enumerate().map(part)).collect()))
        };
        assert_eq!(turn(3, &[(-9, 9); 3]), "");
        for (largest, parts) in [
            (3, &[(-9, 9); 2][..]),
            (3, &[(-9, 9); 4]),
            (2, &[(-9, 9); 3]),
            (3, &[(-9, 9), (-9, 9), (-8, 8)]),
            (3, &[(-9, 8); 3]),
            (3, &[(0, 0); 3]),
        ] {
            let said = turn(largest, parts);
            assert!(said.ends_with("not one of four that make a quaternion"), "{parts:?}: {said}");
        }
    }
}
