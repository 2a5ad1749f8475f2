//! Pickups, which come back some time after they were taken.

use serde::{Deserialize, Serialize};

use super::{
    body::RADIUS,
    events,
    map::ARENA,
    player::Player,
    rows::{PickupRow, pickup_id},
    units::{self, cm},
};
use crate::{game::Events, ids::Seat, rows::Rows, time::TickRate};

const AWAY_MS: u64 = 12_000;
/// Largest distance at which a player takes a pickup, centre to centre.
const GRASP: i32 = RADIUS + cm(35);

/// The state of the map's pickups: for each, ticks until it is back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Pickups {
    away_for: Vec<u32>,
}

impl Pickups {
    pub(super) fn new() -> Self {
        Self { away_for: vec![0; ARENA.pickups.len()] }
    }

    /// Puts everything back.
    pub(super) fn refill(&mut self) {
        self.away_for.fill(0);
    }

    /// Gives each pickup to a living player who touches and can use it, the lowest seat first.
    pub(super) fn step(&mut self, players: &mut [Player], rate: TickRate, events: &mut Events) {
        for (away_for, &(stock, place)) in self.away_for.iter_mut().zip(ARENA.pickups) {
            if *away_for > 0 {
                *away_for -= 1;
                continue;
            }
            for (seat, player) in (0..).map(Seat).zip(&mut *players) {
                let distance = (player.body.position - place).length_squared();
                if player.is_alive() && distance <= GRASP * GRASP && player.take(stock) {
                    *away_for = units::ticks(AWAY_MS, rate);
                    events::picked_up(events, seat, stock);
                    break;
                }
            }
        }
    }

    pub(super) fn write_rows(&self, rows: &mut Rows) {
        for (index, (&away_for, &(stock, position))) in
            self.away_for.iter().zip(ARENA.pickups).enumerate()
        {
            let present = away_for == 0;
            PickupRow { position, stock, present }.push(rows, pickup_id(index));
        }
    }
}
