//! The arena's schema, and its rows as structs.
//!
//! A gun shot is not an event: the player's `shots` counts up, and a client that draws the shot
//! takes the rest (position, aim, map) from the row. That costs a few bits where a reliable message
//! would cost bytes.

use std::sync::LazyLock;

use glam::IVec2;

use super::{
    body::{Body, VELOCITY_MAX},
    events, input,
    map::{ARENA, Stock},
    units::{ANGLES, ROW_ANGLES, STEPS_PER_M, VELOCITY_STEPS_PER_MPS},
};
use crate::{
    ids::{EntityId, Seat},
    rows::Rows,
    schema::{Field, Predict, Schema},
};

/// Kind of the one row with the round's state.
pub const ROUND: u8 = 0;
/// Kind of the rows of pickups.
pub const PICKUP: u8 = 1;
/// Kind of the rows of players.
pub const PLAYER: u8 = 2;
/// Kind of the rows of rockets.
pub const PROJECTILE: u8 = 3;

/// A player's health after a respawn.
pub const HEALTH_MAX: i32 = 100;
/// Most bullets that a player can carry.
pub const BULLETS_MAX: i32 = 99;
/// Most rockets that a player can carry.
pub const ROCKETS_MAX: i32 = 12;
/// Kills and deaths are counted up to this.
pub const SCORE_MAX: i32 = 999;
/// Rounds of a match are counted up to this.
pub const ROUNDS_MAX: i32 = 65_535;

const FIRST_PICKUP: u32 = 1;
const FIRST_PLAYER: u32 = 32;
const _: () = assert!(FIRST_PICKUP as usize + ARENA.pickups.len() <= FIRST_PLAYER as usize);

/// The row with the round's state.
pub const ROUND_ID: EntityId = EntityId(0);

/// The row of a pickup, by its index in the map.
#[must_use]
pub const fn pickup_id(index: usize) -> EntityId {
    EntityId(FIRST_PICKUP + index as u32)
}

/// The row of the player in a seat.
#[must_use]
pub const fn player_id(seat: Seat) -> EntityId {
    EntityId(FIRST_PLAYER + seat.0 as u32)
}

/// The row of a rocket, by its number among all that were launched. An id is reused after 512
/// launches, long after its last rocket has despawned.
pub(super) const fn projectile_id(seats: usize, launched: u32) -> EntityId {
    EntityId(FIRST_PLAYER + seats as u32 + launched % 512)
}

/// Indices of a player's position and health in its row.
pub(super) const POSITION_FIELDS: [usize; 2] = [2, 3];
pub(super) const HEALTH_FIELD: usize = 5;

/// The schema, made once for use in every tick.
pub(super) static SCHEMA: LazyLock<Schema> = LazyLock::new(schema);

pub(super) fn schema() -> Schema {
    let metre = 1.0 / STEPS_PER_M as f32;
    let position =
        |name, rate, max| Field::new(name, metre, 0, max).predict(Predict::Carried { rate });
    // A velocity changes at a fixed acceleration, or not at all.
    let velocity = |name| {
        Field::new(name, 1.0 / VELOCITY_STEPS_PER_MPS as f32, -VELOCITY_MAX, VELOCITY_MAX)
            .predict(Predict::Linear)
    };
    let plain = |name, min, max| Field::new(name, 1.0, min, max);
    let counter = |name, max| plain(name, 0, max).predict(Predict::Counter);
    let turn = std::f32::consts::TAU / ROW_ANGLES as f32;
    let IVec2 { x: width, y: height } = ARENA.size;

    let schema = Schema::new("arena 1")
        .kind(
            "round",
            [
                plain("over", 0, 1),
                counter("number", ROUNDS_MAX),
                plain("winner", -1, i32::from(u16::MAX)),
                plain("ends_at_tick", 0, i32::MAX),
            ],
        )
        .kind(
            "pickup",
            [
                Field::new("x", metre, 0, width),
                Field::new("y", metre, 0, height),
                plain("stock", 0, 2),
                plain("present", 0, 1),
            ],
        )
        .players(
            "player",
            EntityId(FIRST_PLAYER),
            [
                velocity("velocity_x"),
                velocity("velocity_y"),
                position("x", 0, width),
                position("y", 1, height),
                Field::new("aim", turn, 0, ROW_ANGLES - 1).predict(Predict::Angle),
                plain("health", 0, HEALTH_MAX),
                counter("shots", 255),
                counter("kills", SCORE_MAX),
                counter("deaths", SCORE_MAX),
                plain("computer", 0, 1).predict(Predict::Flags),
            ],
        )
        .kind(
            "projectile",
            [
                velocity("velocity_x"),
                velocity("velocity_y"),
                position("x", 0, width),
                position("y", 1, height),
                plain("shooter", 0, i32::from(u16::MAX)),
            ],
        )
        .owner("bullets", 0, BULLETS_MAX)
        .owner("rockets", 0, ROCKETS_MAX);
    events::describe(input::describe(schema))
}

/// The round's state.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RoundRow {
    /// Whether this is the break after the round, in which weapons don't fire.
    pub over: bool,
    /// Counted from 1.
    pub number: i32,
    /// The winner of a round that is over, unless it was a draw.
    pub winner: Option<Seat>,
    /// The tick (modulo 2^31) at which the round, or the break after it, ends.
    pub ends_at_tick: i32,
}

impl RoundRow {
    /// Reads the row, unless it is of another kind.
    #[must_use]
    pub fn read(values: &[i32]) -> Option<Self> {
        let &[over, number, winner, ends_at_tick] = values else { return None };
        let winner = u16::try_from(winner).ok().map(Seat);
        Some(Self { over: over != 0, number, winner, ends_at_tick })
    }

    pub(super) fn push(&self, rows: &mut Rows) {
        let winner = self.winner.map_or(-1, |seat| i32::from(seat.0));
        rows.push(ROUND_ID, ROUND, &[self.over.into(), self.number, winner, self.ends_at_tick]);
    }
}

/// A pickup.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PickupRow {
    /// Where it lies.
    pub position: IVec2,
    /// What it holds.
    pub stock: Stock,
    /// Whether it is there; otherwise it was taken and will come back.
    pub present: bool,
}

impl PickupRow {
    /// Reads the row, unless it is of another kind.
    #[must_use]
    pub fn read(values: &[i32]) -> Option<Self> {
        let &[x, y, stock, present] = values else { return None };
        let stock = Stock::from_value(stock)?;
        Some(Self { position: IVec2::new(x, y), stock, present: present != 0 })
    }

    pub(super) fn push(&self, rows: &mut Rows, id: EntityId) {
        let IVec2 { x, y } = self.position;
        rows.push(id, PICKUP, &[x, y, self.stock.value(), self.present.into()]);
    }
}

/// A player, as all others see it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PlayerRow {
    /// Position and velocity.
    pub body: Body,
    /// Where its weapon points, in [`ANGLES`] to a turn, rounded to [`ROW_ANGLES`].
    pub aim: i32,
    /// 0 if the player is dead.
    pub health: i32,
    /// Number of gun shots, modulo 256.
    pub shots: i32,
    /// Kills in this round.
    pub kills: i32,
    /// Deaths in this round.
    pub deaths: i32,
    /// Whether it is a computer player.
    pub computer: bool,
}

impl PlayerRow {
    /// Reads the row, unless it is of another kind.
    #[must_use]
    pub fn read(values: &[i32]) -> Option<Self> {
        let &[vx, vy, x, y, aim, health, shots, kills, deaths, computer] = values else {
            return None;
        };
        Some(Self {
            body: Body { position: IVec2::new(x, y), velocity: IVec2::new(vx, vy) },
            aim: aim * (ANGLES / ROW_ANGLES),
            health,
            shots,
            kills,
            deaths,
            computer: computer != 0,
        })
    }

    pub(super) fn push(&self, rows: &mut Rows, id: EntityId) {
        let Body { position, velocity } = self.body;
        let step = ANGLES / ROW_ANGLES;
        let aim = (self.aim + step / 2) / step % ROW_ANGLES;
        rows.push(
            id,
            PLAYER,
            &[
                velocity.x,
                velocity.y,
                position.x,
                position.y,
                aim,
                self.health,
                self.shots,
                self.kills,
                self.deaths,
                self.computer.into(),
            ],
        );
    }
}

/// A rocket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ProjectileRow {
    /// Position and velocity.
    pub body: Body,
    /// The seat of the player who launched it.
    pub shooter: Seat,
}

impl ProjectileRow {
    /// Reads the row, unless it is of another kind.
    #[must_use]
    pub fn read(values: &[i32]) -> Option<Self> {
        let &[vx, vy, x, y, shooter] = values else { return None };
        let shooter = Seat(u16::try_from(shooter).ok()?);
        let body = Body { position: IVec2::new(x, y), velocity: IVec2::new(vx, vy) };
        Some(Self { body, shooter })
    }

    pub(super) fn push(&self, rows: &mut Rows, id: EntityId) {
        let Body { position, velocity } = self.body;
        let shooter = i32::from(self.shooter.0);
        rows.push(id, PROJECTILE, &[velocity.x, velocity.y, position.x, position.y, shooter]);
    }
}
