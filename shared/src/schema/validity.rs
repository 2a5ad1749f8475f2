//! Validation of a schema: by a server when it starts, so that the game's author sees the error,
//! and by a client when it receives the welcome.

use super::{
    EVENTS_MAX, FIELDS_MAX, Field, KINDS_MAX, KindSchema, NAME_BYTES_MAX, Predict, Schema,
};

/// Why a schema is not valid.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SchemaError {
    /// The schema, or one of its kinds or events, has more parts than the limits allow.
    #[error("{whole} has {count} {parts}, more than {max}")]
    TooMany {
        /// What has too many: the name of a kind or an event, or `the schema`.
        whole: String,
        /// Which parts it has too many of.
        parts: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        max: usize,
    },
    /// A name is too long; its first characters.
    #[error("the name that begins with {0:?} is longer than {NAME_BYTES_MAX} bytes")]
    NameTooLong(String),
    /// A name is empty, or contains a control character.
    #[error("{0:?} is not a valid name")]
    BadName(String),
    /// Two entries of one list, such as two kinds or two fields of a kind, have the same name.
    #[error("two {parts} of {whole} have the name {name:?}")]
    Twice {
        /// What has them: the name of a kind or an event, or `the schema`.
        whole: String,
        /// Which parts have the same name.
        parts: &'static str,
        /// The name that both have.
        name: String,
    },
    /// A minimum is above its maximum.
    #[error("{name:?} of {whole} has its minimum above its maximum")]
    EmptyRange {
        /// What has it: the name of a kind, `the input` or `the owner`.
        whole: String,
        /// Which field or integer.
        name: String,
    },
    /// A field's step is not a positive number.
    #[error("the step of {field:?} of {kind} is not a positive number")]
    BadStep {
        /// The name of the field's kind.
        kind: String,
        /// Which field.
        field: String,
    },
    /// A field's `predict` names a rate that its kind does not have.
    #[error("the rate of {field:?} of {kind} is not a field of its kind")]
    NoSuchRate {
        /// The name of the field's kind.
        kind: String,
        /// Which field.
        field: String,
    },
    /// The rates of this kind's fields form a cycle.
    #[error("the rates of kind {0:?} form a cycle")]
    RatesInACircle(String),
    /// A field is not part of a group of four as [`Field::quaternion`] makes them.
    #[error("{field:?} of {kind} is not one of four that make a quaternion")]
    BadQuaternion {
        /// The name of the field's kind.
        kind: String,
        /// Which field.
        field: String,
    },
}

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
            if let Some(integer) = integers.iter().find(|integer| integer.min > integer.max) {
                let (whole, name) = (whole.to_owned(), integer.name.clone());
                return Err(SchemaError::EmptyRange { whole, name });
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
        check_parts(&self.name, "fields", FIELDS_MAX, self.fields.iter().map(|field| &field.name))?;
        for field in &self.fields {
            let names = || (self.name.clone(), field.name.clone());
            if field.min > field.max {
                let (whole, name) = names();
                return Err(SchemaError::EmptyRange { whole, name });
            }
            if !(field.step.is_finite() && field.step > 0.0) {
                let (kind, field) = names();
                return Err(SchemaError::BadStep { kind, field });
            }
            if let Some((rate, count)) = field.predict.rates()
                && rate + count > self.fields.len()
            {
                let (kind, field) = names();
                return Err(SchemaError::NoSuchRate { kind, field });
            }
        }
        self.validate_quaternions()?;
        match self.coding_rounds() {
            Some(_) => Ok(()),
            None => Err(SchemaError::RatesInACircle(self.name.clone())),
        }
    }

    fn validate_quaternions(&self) -> Result<(), SchemaError> {
        let bad = |field: &Field| SchemaError::BadQuaternion {
            kind: self.name.clone(),
            field: field.name.clone(),
        };
        let mut components_due = 0;
        for (i, field) in self.fields.iter().enumerate() {
            let is_component = field.predict == Predict::Component;
            if is_component != (components_due > 0) {
                return Err(bad(field));
            }
            if is_component {
                let first = &self.fields[i + components_due - 3];
                let same = (field.min, field.max) == (first.min, first.max);
                if !same || i32::checked_neg(field.min) != Some(field.max) || field.max == 0 {
                    return Err(bad(field));
                }
                components_due -= 1;
            }
            if let Predict::Quaternion { .. } = field.predict {
                if (field.min, field.max) != (0, 3) || i + 3 >= self.fields.len() {
                    return Err(bad(field));
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
    parts: &'static str,
    max: usize,
    names: impl ExactSizeIterator<Item = &'a String> + Clone,
) -> Result<(), SchemaError> {
    let count = names.len();
    if count > max {
        return Err(SchemaError::TooMany { whole: whole.to_owned(), parts, count, max });
    }
    for (i, name) in names.clone().enumerate() {
        check_name(name)?;
        if names.clone().take(i).any(|other| other == name) {
            let (whole, name) = (whole.to_owned(), name.clone());
            return Err(SchemaError::Twice { whole, parts, name });
        }
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), SchemaError> {
    if name.len() > NAME_BYTES_MAX {
        return Err(SchemaError::NameTooLong(name.chars().take(16).collect()));
    }
    if name.is_empty() || name.contains(char::is_control) {
        return Err(SchemaError::BadName(name.to_owned()));
    }
    Ok(())
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
