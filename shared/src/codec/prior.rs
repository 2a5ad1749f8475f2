//! What is expected of any game before anything is known of it.
//!
//! `prior_tables.json` has, for each sort of numbers, the index of a table for each context: eight
//! rows of eight, by how much a field moved lately and by how far off its neighbour was, and at
//! last that of spawned entities. `prior_odds.json` has the index of the odds that an entity
//! changes, for each context, and at last that of still fields. Both are made by the program
//! `train-priors`, and are used as they are by clients in other languages.

use super::model::{CHANGE_CONTEXTS, CONTEXTS, KindModel, Sort};

const TABLES: [[u8; CONTEXTS]; Sort::ALL.len()] = include!("prior_tables.json");
const ODDS: [u8; CHANGE_CONTEXTS + 1] = include!("prior_odds.json");

/// The tables of one sort of numbers.
pub(super) const fn tables(sort: Sort) -> [u8; CONTEXTS] {
    TABLES[sort as usize]
}

/// Of any kind.
pub(super) fn kind() -> KindModel {
    let (changes, stills) = ODDS.split_first_chunk().expect("there is one more");
    KindModel { changes: *changes, stills: stills[0] }
}
