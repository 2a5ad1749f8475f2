//! One seat: who plays it, and what they have.

use serde::{Deserialize, Serialize};

use super::{
    body::Body,
    brain::Brain,
    input::ArenaInput,
    map::{ARENA, Stock},
    rows::{BULLETS_MAX, HEALTH_MAX, PlayerRow, ROCKETS_MAX},
};
use crate::dice::Dice;

/// What a fresh player has.
const BULLETS_AT_START: i32 = 40;
const ROCKETS_AT_START: i32 = 3;

/// Who plays.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Occupant {
    Nobody,
    Person,
    Computer(Brain),
}

/// A seat and its player. Times are in ticks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Player {
    pub occupant: Occupant,
    pub command: ArenaInput,
    pub body: Body,
    /// 0 is dead.
    pub health: i32,
    pub bullets: i32,
    pub rockets: i32,
    /// Until a weapon can be fired again.
    pub cooldown: u32,
    /// Until a dead player appears again.
    pub respawn_in: u32,
    /// Of the first weapon; wraps.
    pub shots: u8,
    pub kills: i32,
    pub deaths: i32,
}

impl Player {
    /// Someone who appears at the next step.
    pub(super) fn new(occupant: Occupant) -> Self {
        Self {
            occupant,
            command: ArenaInput::default(),
            body: Body::default(),
            health: 0,
            bullets: 0,
            rockets: 0,
            cooldown: 0,
            respawn_in: 0,
            shots: 0,
            kills: 0,
            deaths: 0,
        }
    }

    pub(super) fn is_here(&self) -> bool {
        match self.occupant {
            Occupant::Nobody => false,
            Occupant::Person | Occupant::Computer(_) => true,
        }
    }

    /// Nobody is never alive.
    pub(super) fn is_alive(&self) -> bool {
        self.health > 0
    }

    pub(super) fn is_computer(&self) -> bool {
        matches!(self.occupant, Occupant::Computer(_))
    }

    /// What the owner alone is told, in the schema's order.
    pub(super) fn owner_values(&self) -> [i32; 2] {
        [self.bullets, self.rockets]
    }

    pub(super) fn row(&self) -> PlayerRow {
        PlayerRow {
            body: self.body,
            aim: self.command.aim,
            health: self.health,
            shots: self.shots.into(),
            kills: self.kills,
            deaths: self.deaths,
            computer: self.is_computer(),
        }
    }

    /// Takes what a pickup holds. Whether there was any use for it.
    pub(super) fn take(&mut self, stock: Stock) -> bool {
        let (have, more, max) = match stock {
            Stock::Bullets => (&mut self.bullets, 25, BULLETS_MAX),
            Stock::Rockets => (&mut self.rockets, 3, ROCKETS_MAX),
            Stock::Health => (&mut self.health, 40, HEALTH_MAX),
        };
        let useful = *have < max;
        *have = (*have + more).min(max);
        useful
    }
}

/// Brings a dead player back, where the living are far.
pub(super) fn respawn(players: &mut [Player], index: usize, dice: &mut Dice) {
    let start = dice.within(0, ARENA.spawns.len() as i32 - 1) as usize;
    let spawns = ARENA.spawns.iter().cycle().skip(start).take(ARENA.spawns.len());
    let distance = |place: glam::IVec2| {
        let living = players.iter().filter(|player| player.is_alive());
        living.map(|player| (player.body.position - place).length_squared()).min()
    };
    // The first of equals wins, and which is first is left to chance.
    let mut best = (ARENA.spawns[start], -1);
    for &place in spawns {
        let distance = distance(place).unwrap_or(0);
        if distance > best.1 {
            best = (place, distance);
        }
    }
    let player = &mut players[index];
    player.body = Body { position: best.0, ..Body::default() };
    player.health = HEALTH_MAX;
    player.bullets = BULLETS_AT_START;
    player.rockets = ROCKETS_AT_START;
    player.cooldown = 0;
}
