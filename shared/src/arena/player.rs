//! One seat: its occupant and its player's state.

use serde::{Deserialize, Serialize};

use super::{
    body::Body,
    brain::Brain,
    input::ArenaInput,
    map::{ARENA, Stock},
    rows::{BULLETS_MAX, HEALTH_MAX, PlayerRow, ROCKETS_MAX},
};
use crate::dice::Dice;

/// Ammunition of a player who has just respawned.
const BULLETS_AT_START: i32 = 40;
const ROCKETS_AT_START: i32 = 3;

/// Who plays in a seat.
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
    /// 0 if the player is dead.
    pub health: i32,
    pub bullets: i32,
    pub rockets: i32,
    /// Ticks until a weapon can be fired again.
    pub cooldown: u32,
    /// Ticks until a dead player respawns.
    pub respawn_in: u32,
    /// Number of gun shots; wraps.
    pub shots: u8,
    pub kills: i32,
    pub deaths: i32,
}

impl Player {
    /// A player who spawns in the next step.
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

    /// Whether the player is alive; never true of an empty seat.
    pub(super) fn is_alive(&self) -> bool {
        self.health > 0
    }

    pub(super) fn is_computer(&self) -> bool {
        matches!(self.occupant, Occupant::Computer(_))
    }

    /// The values that only the owner receives, in the schema's order.
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

    /// Takes a pickup's content. Returns whether the player could use any of it.
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

/// Respawns a dead player at the spawn that is farthest from living players.
pub(super) fn respawn(players: &mut [Player], index: usize, dice: &mut Dice) {
    let start = dice.within(0, ARENA.spawns.len() as i32 - 1) as usize;
    let spawns = ARENA.spawns.iter().cycle().skip(start).take(ARENA.spawns.len());
    let distance = |place: glam::IVec2| {
        let living = players.iter().filter(|player| player.is_alive());
        living.map(|player| (player.body.position - place).length_squared()).min()
    };
    // Of equally good spawns the first wins, and which is first is random.
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
