//! The prior: the part of the model that every match starts with which is learnt from recordings.
//!
//! `prior_tables.json` has, for each sort of numbers, the index of a table for each context: eight
//! rows of eight, by the class of a field's activity and by that of its misses, then that of
//! spawned entities. `prior_odds.json` has the index of the odds that an entity changes, for each
//! context, then that of stills. Both are made by the program `train-priors`, and clients in other
//! languages use the same files.

use super::model::{CHANGE_CONTEXTS, CONTEXTS, KindModel, Sort};

const TABLES: [[u8; CONTEXTS]; Sort::ALL.len()] = include!("prior_tables.json");
const ODDS: [u8; CHANGE_CONTEXTS + 1] = include!("prior_odds.json");

/// The tables of one sort of numbers.
pub(super) const fn tables(sort: Sort) -> [u8; CONTEXTS] {
    TABLES[sort as usize]
}

/// The prior of a kind of entity.
pub(super) fn kind() -> KindModel {
    let (changes, stills) = ODDS.split_first_chunk().expect("the odds of stills are at the end");
    KindModel { changes: *changes, stills: stills[0] }
}
