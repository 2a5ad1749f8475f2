//! Checks what a game declares, before it runs: its schema, and the names in it and beside it.

use crate::{
    game::{Game, SEATS_MAX},
    schema::{FIELDS_MAX, Schema},
};

/// Names of the events that the server's event feeds send themselves, so that a game's events can't
/// have them.
pub const RESERVED_EVENTS: [&str; 11] =
    ["opened", "ended", "gap", "state", "score", "chat", "notice", "join", "leave", "away", "back"];

/// Why a game can't run: one line that says what to change.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct DeclarationError(String);

/// The game's schema, if the game can run.
pub fn schema_of<G: Game>() -> Result<Schema, DeclarationError> {
    let fail = |why: String| Err(DeclarationError(why));
    let schema = G::schema();
    if let Err(error) = schema.validate() {
        return fail(format!("the game's schema is not valid: {error}"));
    }
    let is_reserved = |name: &&String| RESERVED_EVENTS.contains(&name.as_str());
    if let Some(name) = schema.events.iter().map(|event| &event.name).find(is_reserved) {
        return fail(format!(
            "the game's event {name:?} has a name that event feeds reserve: choose another name"
        ));
    }
    let scores = G::SCORES.len();
    if scores > FIELDS_MAX {
        return fail(format!("the game has {scores} scores; the most is {FIELDS_MAX}"));
    }
    if let Some(name) = repeated(G::SCORES) {
        return fail(format!("two of the game's scores have the name {name:?}"));
    }
    if let Some(mode) = bad_mode(G::MODES) {
        let names = "names are unique, of 1 to 64 letters, digits, - and _";
        return fail(format!("the game's mode {mode:?} is not valid: {names}"));
    }
    for mode in modes_of::<G>() {
        if let Some(seats) = G::seats(mode).filter(|seats| !(1..=SEATS_MAX).contains(seats)) {
            return fail(format!(
                "the game's mode {mode:?} has {seats} seats, not 1 to {SEATS_MAX}"
            ));
        }
    }
    Ok(schema)
}

/// The game's modes; an empty one if it has none.
#[must_use]
pub const fn modes_of<G: Game>() -> &'static [&'static str] {
    if G::MODES.is_empty() { &[""] } else { G::MODES }
}

/// The first mode whose name is not valid or not unique.
fn bad_mode(modes: &[&'static str]) -> Option<&'static str> {
    let is_part = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_');
    let is_name = |mode: &str| (1..=64).contains(&mode.len()) && mode.chars().all(is_part);
    modes.iter().copied().find(|mode| !is_name(mode)).or_else(|| repeated(modes))
}

/// The first name that appears a second time.
fn repeated(names: &[&'static str]) -> Option<&'static str> {
    (0..names.len()).find(|&n| names[..n].contains(&names[n])).map(|n| names[n])
}
