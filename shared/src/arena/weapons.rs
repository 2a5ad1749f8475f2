//! The gun, the rocket launcher, and the damage that they do.

use glam::{IVec2, Vec2};
use serde::{Deserialize, Serialize};

use super::{
    body::{Body, RADIUS, VELOCITY_MAX},
    events::{self, Weapon},
    map::ARENA,
    player::Player,
    rows::{
        HEALTH_FIELD, PLAYER, POSITION_FIELDS, ProjectileRow, SCHEMA, SCORE_MAX, player_id,
        projectile_id,
    },
    units::{self, VELOCITY_STEPS_PER_MPS, carried, cm, direction},
};
use crate::{
    game::Events,
    ids::{EntityId, Seat},
    replica::{Rewind, View},
    rows::Rows,
    time::TickRate,
};

const GUN_COOLDOWN_MS: u64 = 200;
const GUN_DAMAGE: i32 = 12;
/// Longer than the arena.
const GUN_REACH: f32 = cm(6_000) as f32;

const ROCKET_COOLDOWN_MS: u64 = 900;
const ROCKET_DAMAGE: f32 = 80.0;
/// How fast a rocket flies: 15 m/s.
pub(super) const ROCKET_SPEED: i32 = 15 * VELOCITY_STEPS_PER_MPS;
const ROCKET_RADIUS: f32 = cm(12) as f32;
const ROCKET_LIFE_MS: u64 = 3_500;
/// Most rockets in flight in one match; no more can be launched.
const ROCKETS_IN_FLIGHT_MAX: usize = 256;

/// From the blast to the edge of a player's body.
const BLAST_RADIUS: f32 = cm(250) as f32;
/// Velocity that a blast adds to a player next to it: 12 m/s.
const BLAST_PUSH: f32 = (12 * VELOCITY_STEPS_PER_MPS) as f32;
/// Distance of a blast from the wall that the rocket hit.
const BLAST_GAP: f32 = 4.0;

const RESPAWN_MS: u64 = 2_000;

/// A rocket in flight.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Rocket {
    id: EntityId,
    shooter: Seat,
    body: Body,
    /// Ticks until it disappears, if it hits nothing.
    left: u32,
}

/// All rockets in flight, in order of id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Rockets {
    in_flight: Vec<Rocket>,
    launched: u32,
}

/// Damage that one player does to another.
struct Harm {
    victim: Seat,
    by: Seat,
    damage: i32,
    weapon: Weapon,
}

/// Fires the weapons of every living player whose command says so.
pub(super) fn fire(
    players: &mut [Player],
    rockets: &mut Rockets,
    rate: TickRate,
    past: Rewind<'_>,
    events: &mut Events,
) {
    let seats = players.len();
    for index in 0..seats {
        let player = &mut players[index];
        player.cooldown = player.cooldown.saturating_sub(1);
        if !player.is_alive() || player.cooldown > 0 {
            continue;
        }
        let seat = Seat(index as u16);
        if player.command.fire && player.bullets > 0 {
            player.bullets -= 1;
            player.shots = player.shots.wrapping_add(1);
            player.cooldown = units::ticks(GUN_COOLDOWN_MS, rate);
            shoot(players, seat, rate, past.seen_by(seat), events);
        } else if player.command.alt_fire
            && player.rockets > 0
            && rockets.launch(seat, player, rate, seats)
        {
            player.rockets -= 1;
            player.cooldown = units::ticks(ROCKET_COOLDOWN_MS, rate);
        }
    }
}

/// Fires the gun: it hits the first living player that the shooter saw in the line of fire when
/// making the input. The shooter's own position is the current one, since clients predict it.
fn shoot(
    players: &mut [Player],
    by: Seat,
    rate: TickRate,
    seen: Option<View<'_>>,
    events: &mut Events,
) {
    let shooter = &players[by.index()];
    let from = shooter.body.position.as_vec2();
    let to = from + direction(shooter.command.aim) * GUN_REACH;
    let wall = ARENA.reach(from, to, 0.0);
    let place = |seat: Seat| match seen {
        None => Some(players[seat.index()].body.position.as_vec2()),
        Some(view) => place_seen(view, seat, rate),
    };
    if let Some((victim, part)) = first_in_line(players, by, place, from, to, 0.0)
        && part < wall
    {
        let harm = Harm { victim, by, damage: GUN_DAMAGE, weapon: Weapon::Gun };
        harm.inflict(players, rate, events);
    }
}

/// The position at which a player was seen, if it was seen alive.
fn place_seen(view: View<'_>, seat: Seat, rate: TickRate) -> Option<Vec2> {
    let seen = view.find(player_id(seat))?;
    let is_alive = seen.kind() == PLAYER && seen.row().values[HEALTH_FIELD] > 0;
    let fields = &SCHEMA.kinds[usize::from(PLAYER)].fields;
    let [x, y] = POSITION_FIELDS.map(|index| seen.value(fields, index, rate));
    is_alive.then_some(Vec2::new(x, y))
}

/// The first living player other than `by` that an object of this radius meets on its way, and
/// after which part of the way. `place` returns each player's position.
fn first_in_line(
    players: &[Player],
    by: Seat,
    place: impl Fn(Seat) -> Option<Vec2>,
    from: Vec2,
    to: Vec2,
    radius: f32,
) -> Option<(Seat, f32)> {
    let way = to - from;
    let radius = radius + RADIUS as f32;
    let mut first = None;
    for (seat, player) in (0..).map(Seat).zip(players) {
        if seat == by || !player.is_alive() {
            continue;
        }
        let Some(place) = place(seat) else { continue };
        let part = meets(from - place, way, radius);
        if part < first.map_or(f32::INFINITY, |(_, part)| part) {
            first = Some((seat, part));
        }
    }
    first
}

/// The part of `way` after which a point that starts at `from` enters the circle around the
/// origin; infinite if it doesn't.
fn meets(from: Vec2, way: Vec2, radius: f32) -> f32 {
    let outside = from.length_squared() - radius * radius;
    if outside <= 0.0 {
        return 0.0;
    }
    let (square, along) = (way.length_squared(), from.dot(way));
    let under_root = along * along - square * outside;
    if along >= 0.0 || under_root < 0.0 {
        return f32::INFINITY;
    }
    let part = (-along - under_root.sqrt()) / square;
    if part <= 1.0 { part } else { f32::INFINITY }
}

impl Harm {
    fn inflict(&self, players: &mut [Player], rate: TickRate, events: &mut Events) {
        let &Self { victim, by, damage, weapon } = self;
        let hurt = &mut players[victim.index()];
        let damage = damage.min(hurt.health);
        if damage <= 0 {
            return;
        }
        hurt.health -= damage;
        if by != victim {
            events::hit(events, by, victim, damage);
        }
        if hurt.is_alive() {
            return;
        }
        hurt.deaths = (hurt.deaths + 1).min(SCORE_MAX);
        hurt.respawn_in = units::ticks(RESPAWN_MS, rate);
        hurt.body.velocity = IVec2::ZERO;
        if by != victim {
            let killer = &mut players[by.index()];
            killer.kills = (killer.kills + 1).min(SCORE_MAX);
        }
        events::kill(events, victim, by, weapon);
    }
}

impl Rockets {
    pub(super) fn new() -> Self {
        Self { in_flight: Vec::with_capacity(ROCKETS_IN_FLIGHT_MAX), launched: 0 }
    }

    /// Removes all rockets.
    pub(super) fn clear(&mut self) {
        self.in_flight.clear();
    }

    /// Removes the rockets of one seat, because its player changes.
    pub(super) fn forget(&mut self, shooter: Seat) {
        self.in_flight.retain(|rocket| rocket.shooter != shooter);
    }

    /// Moves all rockets by one tick, and explodes those that hit something.
    pub(super) fn step(&mut self, players: &mut [Player], rate: TickRate, events: &mut Events) {
        self.in_flight.retain_mut(|rocket| match rocket.fly(players, rate) {
            None => {
                rocket.left -= 1;
                rocket.left > 0
            }
            Some(place) => {
                blast(players, rocket.shooter, place, rate, events);
                false
            }
        });
    }

    pub(super) fn write_rows(&self, rows: &mut Rows) {
        for &Rocket { id, shooter, body, left: _ } in &self.in_flight {
            ProjectileRow { body, shooter }.push(rows, id);
        }
    }

    /// Launches a rocket. Returns `false` if there are too many already.
    fn launch(&mut self, shooter: Seat, player: &Player, rate: TickRate, seats: usize) -> bool {
        let id = projectile_id(seats, self.launched);
        let place = self.in_flight.binary_search_by_key(&id, |rocket| rocket.id);
        let Err(place) = place else { return false };
        if self.in_flight.len() >= ROCKETS_IN_FLIGHT_MAX {
            return false;
        }
        let velocity = direction(player.command.aim) * ROCKET_SPEED as f32;
        let body = Body { position: player.body.position, velocity: velocity.round().as_ivec2() };
        let left = units::ticks(ROCKET_LIFE_MS, rate);
        self.in_flight.insert(place, Rocket { id, shooter, body, left });
        self.launched = self.launched.wrapping_add(1);
        true
    }
}

impl Rocket {
    /// Moves it by one tick, or returns where it explodes.
    fn fly(&mut self, players: &[Player], rate: TickRate) -> Option<Vec2> {
        let Body { position, velocity } = self.body;
        let next = position + carried(velocity, velocity, rate);
        let (from, to) = (position.as_vec2(), next.as_vec2());
        let wall = ARENA.reach(from, to, ROCKET_RADIUS);
        let place = |seat: Seat| Some(players[seat.index()].body.position.as_vec2());
        let player = first_in_line(players, self.shooter, place, from, to, ROCKET_RADIUS);
        let part = wall.min(player.map_or(1.0, |(_, part)| part));
        if part < 1.0 {
            let back = (to - from).normalize_or_zero() * BLAST_GAP;
            return Some(from + (to - from) * part - back);
        }
        self.body.position = next;
        None
    }
}

fn blast(players: &mut [Player], by: Seat, place: Vec2, rate: TickRate, events: &mut Events) {
    for index in 0..players.len() {
        let player = &mut players[index];
        let away = player.body.position.as_vec2() - place;
        let distance = (away.length() - RADIUS as f32).max(0.0);
        let strength = 1.0 - distance / BLAST_RADIUS;
        if !player.is_alive() || strength <= 0.0 || !ARENA.sees(place, place + away) {
            continue;
        }
        let push = away.normalize_or_zero() * (BLAST_PUSH * strength);
        let velocity = player.body.velocity + push.round().as_ivec2();
        let limit = IVec2::splat(VELOCITY_MAX);
        player.body.velocity = velocity.clamp(-limit, limit);
        let victim = Seat(index as u16);
        // A player who jumps by their own rocket takes half the damage.
        let damage = if victim == by { ROCKET_DAMAGE / 2.0 } else { ROCKET_DAMAGE };
        let damage = (damage * strength).round() as i32;
        Harm { victim, by, damage, weapon: Weapon::Rocket }.inflict(players, rate, events);
    }
}
