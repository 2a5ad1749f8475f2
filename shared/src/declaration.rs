//! Checks what a game declares, before it runs: its schema, and the names in it and beside it.

use crate::{
    game::{Game, SEATS_MAX},
    schema::{FIELDS_MAX, Schema, SchemaError},
};

/// Names of the events that the server's event feeds send themselves, so that a game's events can't
/// have them.
pub const RESERVED_EVENTS: [&str; 11] =
    ["opened", "ended", "gap", "state", "score", "chat", "notice", "join", "leave", "away", "back"];

/// Why a game can't run. Each message says what to change.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DeclarationError {
    /// The schema is not one that a match can run on.
    #[error("the game's schema is not valid: {0}")]
    Schema(#[from] SchemaError),
    /// One of the game's events has one of the [`RESERVED_EVENTS`]' names.
    #[error("the game's event {0:?} has a name that event feeds reserve: choose another name")]
    EventName(String),
    /// One of [`Game::MODES`] is not a valid name, or appears twice.
    #[error(
        "the game's mode {0:?} is not valid: names are unique, of 1 to 64 letters, digits, - and _"
    )]
    ModeName(&'static str),
    /// A mode has no seat or too many of them.
    #[error("the game's mode {0:?} has {1} seats, not 1 to {SEATS_MAX}")]
    Seats(&'static str, u16),
    /// The game has more [`Game::SCORES`] than an event can carry.
    #[error("the game has {0} scores; the most is {FIELDS_MAX}")]
    Scores(usize),
    /// A name appears twice in [`Game::SCORES`].
    #[error("two of the game's scores have the name {0:?}")]
    ScoreName(&'static str),
}

/// The game's schema, if the game can run.
pub fn schema_of<G: Game>() -> Result<Schema, DeclarationError> {
    let schema = G::schema();
    schema.validate()?;
    let is_reserved = |name: &String| RESERVED_EVENTS.contains(&name.as_str());
    if let Some(event) = schema.events.iter().find(|event| is_reserved(&event.name)) {
        return Err(DeclarationError::EventName(event.name.clone()));
    }
    if G::SCORES.len() > FIELDS_MAX {
        return Err(DeclarationError::Scores(G::SCORES.len()));
    }
    if let Some(name) = repeated(G::SCORES) {
        return Err(DeclarationError::ScoreName(name));
    }
    if let Some(bad) = bad_mode(G::MODES) {
        return Err(DeclarationError::ModeName(bad));
    }
    for mode in modes_of::<G>() {
        if let Some(seats) = G::seats(mode).filter(|seats| !(1..=SEATS_MAX).contains(seats)) {
            return Err(DeclarationError::Seats(mode, seats));
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
