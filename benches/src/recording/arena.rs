//! A recording of sixteen computer players in the reference game, generated from a fixed seed.

use tickwire_shared::{arena::Arena, game::Game, rows::Row, time::TickRate};

use super::{Recording, Sampling, Snapshot};
use crate::arena::Played;

const SECONDS: u32 = 240;

pub(super) fn play(sampling: &Sampling) -> Recording {
    let rate =
        sampling.rate.unwrap_or_else(|| TickRate::new(30).expect("within the range of rates"));
    let mut played = Played::new(rate);
    let mut snapshots: Vec<Snapshot> = Vec::new();
    for _ in 0..SECONDS * u32::from(rate.hz()) {
        played.play();
        let rows = played.rows.clone();
        let before = snapshots.last().map(|snapshot| &snapshot.rows);
        let same = |row: Row<'_>| before.is_some_and(|before| before.find(row.id) == Some(row));
        let updates = rows.iter().filter(|row| !same(*row)).count() as u32;
        snapshots.push(Snapshot { tick: played.game.tick, rows, updates });
    }
    Recording { schema: Arena::schema(), rate, snapshots }
}
