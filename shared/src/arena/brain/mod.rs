//! A computer player: it computes an input from what a client sees.
//!
//! It imitates a person with keyboard and mouse. It chooses one of eight directions a few times a
//! second; its aim turns at a limited speed towards the target's estimated position, with a random
//! error. It uses only what a client in its seat receives, and shoots only at targets in line of
//! sight.
//!
//! A decision costs about half a microsecond (bench `arena`) and allocates nothing.

mod paths;

use glam::{IVec2, Vec2};
use serde::{Deserialize, Serialize};

use super::{
    body::{RADIUS, SPEED},
    events::Weapon,
    input::{ArenaInput, MOVE_MAX},
    map::{ARENA, Stock},
    rows::{HEALTH_MAX, PICKUP, PLAYER, PickupRow, PlayerRow, ROUND_ID, RoundRow, player_id},
    units::{ANGLES, STEPS_PER_M, VELOCITY_STEPS_PER_MPS, angle_of, cm, turn},
    weapons::ROCKET_SPEED,
};
use crate::{
    dice::Dice,
    ids::{EntityId, Seat},
    rows::Rows,
    time::TickRate,
};
use paths::PATHS;

/// Largest turning speed of the aim: five quarters of a turn per second.
const TURN_PER_SECOND: i32 = ANGLES * 5 / 4;
/// Part of the remaining angle that the aim covers in each hundredth of a second.
const AIM_EAGERNESS: f32 = 0.12;
/// Largest error of the aim: 8 degrees.
const AIM_ERROR: i32 = ANGLES / 45;
/// Largest angle between the aim and the target at which it fires: 4 degrees.
const AIM_TOLERANCE: i32 = ANGLES / 90;
/// Shortest and longest time for which a decision is kept.
const THOUGHT_MS: (i32, i32) = (250, 650);
/// Time after which a destination that was not reached is given up.
const JOURNEY_MS: i32 = 8_000;
/// Distance at which a destination counts as reached.
const ARRIVED: f32 = cm(60) as f32;
/// Shortest and longest distance that it keeps from a target.
const FIGHT_NEAR: f32 = cm(450) as f32;
const FIGHT_FAR: f32 = cm(1_000) as f32;
/// How far ahead it looks for walls.
const STRIDE: f32 = cm(200) as f32;
/// Distances between which it uses rockets: a nearer one would hurt itself, too.
const ROCKET_NEAR: f32 = cm(350) as f32;
const ROCKET_FAR: f32 = cm(1_600) as f32;

/// Position steps per second at a velocity of one step.
const PER_SECOND: f32 = (STEPS_PER_M / VELOCITY_STEPS_PER_MPS) as f32;

/// A computer player.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Brain {
    dice: Dice,
    rate: TickRate,
    aim: i32,
    aim_error: i32,
    keys: IVec2,
    /// Ticks until the next decision.
    think_in: i32,
    destination: IVec2,
    /// Ticks until the destination is given up.
    journey_left: i32,
    target: Option<EntityId>,
    weapon: Weapon,
}

/// A player's own state.
struct Own {
    id: EntityId,
    row: PlayerRow,
    place: Vec2,
    bullets: i32,
    rockets: i32,
}

impl Brain {
    /// A computer player that decides `rate` times a second, determined by the seed and what it
    /// sees.
    #[must_use]
    pub fn new(seed: u64, rate: TickRate) -> Self {
        let mut dice = Dice::new(seed);
        let aim = dice.within(0, ANGLES - 1);
        Self {
            dice,
            rate,
            aim,
            aim_error: 0,
            keys: IVec2::ZERO,
            think_in: 0,
            destination: IVec2::ZERO,
            journey_left: 0,
            target: None,
            weapon: Weapon::Gun,
        }
    }

    /// Decides on the next tick's input for the player in `seat`, from the rows and its owner's
    /// values. Call this once for each tick.
    pub fn decide(&mut self, seat: Seat, rows: &Rows, owner: &[i32]) -> ArenaInput {
        let Some(own) = Own::find(seat, rows, owner) else {
            self.think_in = 0;
            self.journey_left = 0;
            return ArenaInput { aim: self.aim, ..ArenaInput::default() };
        };
        self.think_in -= 1;
        self.journey_left -= 1;
        if self.think_in <= 0 {
            self.think(&own, rows);
        }
        let target = self.target.and_then(|id| visible_player(rows, id, own.place));
        let mut input = ArenaInput { movement: self.keys * MOVE_MAX, ..ArenaInput::default() };
        match target {
            Some(target) => {
                let off = self.aim_at(&own, &target);
                let ready = off.abs() <= AIM_TOLERANCE && !is_break(rows);
                input.fire = ready && self.weapon == Weapon::Gun;
                input.alt_fire = ready && self.weapon == Weapon::Rocket;
            }
            None if self.keys != IVec2::ZERO => {
                self.turn_to(angle_of(self.keys.as_vec2()));
            }
            None => {}
        }
        input.aim = self.aim;
        input
    }

    /// Chooses target, weapon, destination and direction for a while.
    fn think(&mut self, own: &Own, rows: &Rows) {
        let millis = self.dice.within(THOUGHT_MS.0, THOUGHT_MS.1);
        self.think_in = self.ticks(millis);
        self.aim_error = self.dice.within(-AIM_ERROR, AIM_ERROR);
        let target = nearest_target(own, rows);
        self.target = target.map(|(id, _)| id);
        let fight = target.filter(|_| own.bullets + own.rockets > 0 && own.row.health > 25);
        if let Some((_, away)) = fight {
            self.weapon = self.choose_weapon(own, away.length());
            self.keys = self.circle(own, away);
        } else {
            self.keys = self.travel(own, rows);
        }
    }

    fn choose_weapon(&mut self, own: &Own, distance: f32) -> Weapon {
        let in_range = (ROCKET_NEAR..ROCKET_FAR).contains(&distance);
        let rocket = own.rockets > 0 && in_range && self.dice.within(0, 2) == 0;
        if rocket || own.bullets == 0 { Weapon::Rocket } else { Weapon::Gun }
    }

    /// The keys to circle around the target, at a distance neither too near nor too far.
    fn circle(&mut self, own: &Own, away: Vec2) -> IVec2 {
        let ahead = away.normalize_or(Vec2::X);
        let side = if self.dice.within(0, 1) == 0 { ahead.perp() } else { -ahead.perp() };
        let approach = match away.length() {
            distance if distance < FIGHT_NEAR => -0.8,
            distance if distance > FIGHT_FAR => 0.8,
            _ => 0.0,
        };
        best_keys(own.place, (side + ahead * approach).normalize_or_zero())
    }

    /// The keys towards the destination; chooses a new one if necessary.
    fn travel(&mut self, own: &Own, rows: &Rows) -> IVec2 {
        let there = self.destination.as_vec2().distance(own.place) < ARRIVED;
        if there || self.journey_left <= 0 {
            self.destination = self.choose_destination(own, rows);
            self.journey_left = self.ticks(JOURNEY_MS);
        }
        let next = PATHS.next(own.place, self.destination.as_vec2());
        let way = next - own.place;
        // Decide again at the next corner at the latest.
        let seconds = way.length() / (SPEED as f32 * PER_SECOND);
        let until_there = (seconds * f32::from(self.rate.hz())) as i32;
        self.think_in = self.think_in.min(until_there.max(1));
        keys_towards(way)
    }

    /// The nearest pickup of what it needs most; a random one if it needs nothing.
    fn choose_destination(&mut self, own: &Own, rows: &Rows) -> IVec2 {
        let need = if own.row.health <= HEALTH_MAX / 2 {
            Some(Stock::Health)
        } else if own.bullets < 20 {
            Some(Stock::Bullets)
        } else if own.rockets < 3 {
            Some(Stock::Rockets)
        } else {
            None
        };
        let wanted = rows.iter().filter(|row| row.kind == PICKUP).filter_map(|row| {
            let pickup = PickupRow::read(row.values)?;
            (pickup.present && Some(pickup.stock) == need).then_some(pickup.position)
        });
        let here = own.row.body.position;
        let nearest = wanted.min_by_key(|&place| (place - here).length_squared());
        nearest.unwrap_or_else(|| {
            let any = self.dice.within(0, ARENA.pickups.len() as i32 - 1);
            ARENA.pickups[any as usize].1
        })
    }

    /// Turns towards where a shot would hit the target. Returns how far off the aim still is.
    fn aim_at(&mut self, own: &Own, target: &PlayerRow) -> i32 {
        let position = target.body.position.as_vec2();
        let flight_seconds = match self.weapon {
            Weapon::Gun => 0.0,
            Weapon::Rocket => position.distance(own.place) / (ROCKET_SPEED as f32 * PER_SECOND),
        };
        let lead = target.body.velocity.as_vec2() * (PER_SECOND * flight_seconds);
        self.turn_to(angle_of(position + lead - own.place) + self.aim_error)
    }

    fn turn_to(&mut self, wanted: i32) -> i32 {
        let hz = i32::from(self.rate.hz());
        let limit = TURN_PER_SECOND / hz;
        let eagerness = (AIM_EAGERNESS * 100.0 / hz as f32).min(1.0);
        let off = turn(self.aim, wanted);
        let step = (off as f32 * eagerness).round() as i32;
        self.aim = (self.aim + step.clamp(-limit, limit)).rem_euclid(ANGLES);
        turn(self.aim, wanted)
    }

    fn ticks(&self, millis: i32) -> i32 {
        (millis * i32::from(self.rate.hz()) / 1_000).max(1)
    }
}

impl Own {
    fn find(seat: Seat, rows: &Rows, owner: &[i32]) -> Option<Self> {
        let id = player_id(seat);
        let row = living_player(rows, id)?;
        let &[bullets, rockets] = owner else { return None };
        Some(Self { id, row, place: row.body.position.as_vec2(), bullets, rockets })
    }
}

fn living_player(rows: &Rows, id: EntityId) -> Option<PlayerRow> {
    let row = rows.find(id).filter(|row| row.kind == PLAYER)?;
    PlayerRow::read(row.values).filter(|player| player.health > 0)
}

fn visible_player(rows: &Rows, id: EntityId, from: Vec2) -> Option<PlayerRow> {
    living_player(rows, id).filter(|player| ARENA.sees(from, player.body.position.as_vec2()))
}

/// The nearest living player in sight, and the way there.
fn nearest_target(own: &Own, rows: &Rows) -> Option<(EntityId, Vec2)> {
    let mut nearest: Option<(EntityId, Vec2)> = None;
    for row in rows.iter().filter(|row| row.kind == PLAYER && row.id != own.id) {
        let Some(player) = PlayerRow::read(row.values).filter(|player| player.health > 0) else {
            continue;
        };
        let place = player.body.position.as_vec2();
        let away = place - own.place;
        let nearer = nearest.is_none_or(|(_, old)| away.length_squared() < old.length_squared());
        if nearer && ARENA.sees(own.place, place) {
            nearest = Some((row.id, away));
        }
    }
    nearest
}

fn is_break(rows: &Rows) -> bool {
    let round = rows.find(ROUND_ID).and_then(|row| RoundRow::read(row.values));
    round.is_some_and(|round| round.over)
}

/// The keys whose direction is nearest to that of `way`.
fn keys_towards(way: Vec2) -> IVec2 {
    // The sine of a sixteenth of a turn: the boundary between two neighbouring directions.
    const LEAST: f32 = 0.382_683_43;
    let way = way.normalize_or_zero();
    let key = |part: f32| if part.abs() < LEAST { 0 } else { part.signum() as i32 };
    IVec2::new(key(way.x), key(way.y))
}

/// The keys that best combine the wanted direction with room to move before a wall.
fn best_keys(place: Vec2, wanted: Vec2) -> IVec2 {
    const EIGHT: [(i32, i32); 8] =
        [(1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1)];
    let mut best = (IVec2::ZERO, f32::NEG_INFINITY);
    for keys in EIGHT.map(IVec2::from) {
        let way = keys.as_vec2().normalize_or_zero();
        let room = ARENA.reach(place, place + way * STRIDE, RADIUS as f32 / 2.0);
        let merit = way.dot(wanted) + 2.0 * room;
        if merit > best.1 {
            best = (keys, merit);
        }
    }
    best.0
}
