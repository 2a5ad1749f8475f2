//! Damage, death, pickups, rounds.

use glam::IVec2;

use super::{
    super::{
        body::{Body, RADIUS},
        events::{HIT, KILL, PICKED_UP, ROUND_OVER, ROUND_START},
        map::Stock,
        rows::{HEALTH_MAX, PROJECTILE},
        units::{ANGLES, cm},
    },
    *,
};
use crate::game::Audience;

const RIGHT: i32 = 0;
const LEFT: i32 = ANGLES / 2;

#[test]
fn a_shot_hurts_the_first_in_line_and_tells_the_shooter() {
    let mut world = duel(&[(1000, 1000), (1500, 1000), (2000, 1000)]);
    world.inputs[0] = ArenaInput { aim: RIGHT, fire: true, ..ArenaInput::default() };
    world.step();
    assert_eq!(health(&world), [100, 88, 100]);
    assert_eq!(
        events(&world),
        [Event { audience: Audience::Seat(Seat(0)), kind: HIT, values: &[1, 12] }]
    );
    assert_eq!(player(&world.rows, Seat(0)).unwrap().shots, 1);
}

#[test]
fn walls_stop_shots_and_blasts() {
    // The block in the middle of the arena is between them.
    let mut world = duel(&[(1780, 1400), (2220, 1400)]);
    world.inputs[0] = ArenaInput { aim: RIGHT, fire: true, ..ArenaInput::default() };
    world.inputs[1] = ArenaInput { aim: LEFT, alt_fire: true, ..ArenaInput::default() };
    for _ in 0..10 {
        world.step();
    }
    let [shooter, launcher] = health(&world)[..] else { panic!("two players") };
    assert_eq!(shooter, HEALTH_MAX);
    assert!(launcher < HEALTH_MAX, "it launched into the wall before it");
}

#[test]
fn a_gun_fires_at_its_own_pace_until_it_is_empty() {
    let mut world = duel(&[(1000, 1000)]);
    world.inputs[0].fire = true;
    for _ in 0..30 {
        world.step();
    }
    let [bullets, rockets] = world.arena.players[0].owner_values();
    assert_eq!((bullets, rockets), (35, 3), "five shots a second");
    for _ in 0..300 {
        world.step();
    }
    assert_eq!(world.arena.players[0].owner_values(), [0, 3]);
    assert_eq!(player(&world.rows, Seat(0)).unwrap().shots, 40);
}

#[test]
fn a_rocket_flies_straight_and_hurts_those_around() {
    let mut world = duel(&[(1000, 1000), (1700, 1000), (1850, 1000), (1750, 2000)]);
    world.inputs[0] = ArenaInput { aim: RIGHT, alt_fire: true, ..ArenaInput::default() };
    world.step();
    world.inputs[0].alt_fire = false;
    assert_eq!(world.rows.iter().filter(|row| row.kind == PROJECTILE).count(), 1);
    for _ in 0..20 {
        world.step();
    }
    assert_eq!(world.rows.iter().filter(|row| row.kind == PROJECTILE).count(), 0);
    let [shooter, near, behind, far] = health(&world)[..] else { panic!("four players") };
    assert_eq!((shooter, far), (HEALTH_MAX, HEALTH_MAX));
    assert!((10..30).contains(&near), "met by the rocket: {near}");
    assert!((near + 10..80).contains(&behind), "near the blast: {behind}");
    let thrown = player(&world.rows, Seat(1)).unwrap().body.position.x;
    assert!(thrown > cm(1750), "thrown to {thrown}");
}

#[test]
fn the_dead_rest_are_counted_and_come_back() {
    let mut world = duel(&[(1000, 1000), (1500, 1000)]);
    world.arena.players[1].health = 5;
    world.inputs[0] = ArenaInput { aim: RIGHT, fire: true, ..ArenaInput::default() };
    world.inputs[1].movement = IVec2::new(127, 0);
    world.step();
    world.inputs[0].fire = false;
    assert!(events(&world).contains(&Event {
        audience: Audience::All,
        kind: KILL,
        values: &[1, 0, 0]
    }));
    let corpse = player(&world.rows, Seat(1)).unwrap();
    assert_eq!((corpse.health, corpse.deaths), (0, 1));
    assert_eq!(player(&world.rows, Seat(0)).unwrap().kills, 1);
    for _ in 0..60 {
        world.step();
        assert_eq!(player(&world.rows, Seat(1)), Some(corpse));
    }
    world.step();
    let back = player(&world.rows, Seat(1)).unwrap();
    assert_eq!(back.health, HEALTH_MAX);
    assert!(ARENA.spawns.contains(&back.body.position));
    assert!((back.body.position - IVec2::splat(cm(1000))).length_squared() > cm(1000).pow(2));
}

#[test]
fn a_pickup_is_taken_by_a_player_who_needs_it_and_comes_back() {
    let (index, &(_, place)) = (0..)
        .zip(ARENA.pickups)
        .find(|(_, (stock, _))| *stock == Stock::Health)
        .expect("there is a health pickup");
    let present = |world: &World| world.rows.find(rows::pickup_id(index)).unwrap().values[3] == 1;
    let mut world = duel(&[(1000, 1000)]);
    world.arena.players[0].body.position = place;
    world.step();
    assert!(present(&world), "nobody needs it");
    world.arena.players[0].health = 30;
    world.step();
    assert!(!present(&world));
    assert_eq!(count(&world, PICKED_UP), 1);
    assert_eq!(health(&world), [70]);
    world.arena.players[0].body.position = IVec2::splat(cm(1000));
    for _ in 0..12 * 30 {
        assert!(!present(&world));
        world.step();
    }
    assert!(present(&world));
}

#[test]
fn the_round_ends_when_its_row_says_and_the_next_begins() {
    let round = |world: &World| {
        rows::RoundRow::read(world.rows.find(rows::ROUND_ID).unwrap().values).unwrap()
    };
    let mut world = duel(&[(1000, 1000), (1500, 1000)]);
    world.arena.players[1].kills = 3;
    let end = round(&world).ends_at_tick;
    assert!(end > 179 * 30);
    while world.tick.0 + 1 < end as u32 {
        world.step();
        assert!(!round(&world).over);
    }
    world.step();
    assert_eq!(
        world.events.iter().last().unwrap(),
        Event { audience: Audience::All, kind: ROUND_OVER, values: &[1, 1] }
    );
    assert!(round(&world).over);
    assert_eq!(round(&world).winner, Some(Seat(1)));

    world.inputs[0].fire = true;
    let next = round(&world).ends_at_tick;
    while world.tick.0 + 1 < next as u32 {
        world.step();
    }
    assert_eq!(player(&world.rows, Seat(0)).unwrap().shots, 0, "weapons rest");
    world.step();
    assert_eq!(count(&world, ROUND_START), 1);
    assert_eq!((round(&world).over, round(&world).number), (false, 2));
    let fresh = player(&world.rows, Seat(1)).unwrap();
    assert_eq!((fresh.health, fresh.kills), (HEALTH_MAX, 0));
}

#[test]
fn nobody_wins_a_draw() {
    for (kills, expected) in [([2, 2], None), ([0, 0], None), ([1, 2], Some(Seat(1)))] {
        let mut world = duel(&[(1000, 1000), (1500, 1000)]);
        for (player, kills) in world.arena.players.iter_mut().zip(kills) {
            player.kills = kills;
        }
        while count(&world, ROUND_OVER) == 0 {
            world.step();
        }
        let winner = expected.map_or(-1, |seat: Seat| i32::from(seat.0));
        assert_eq!(world.events.iter().last().unwrap().values, [1, winner]);
    }
}

#[test]
fn the_owners_values_are_not_in_the_rows() {
    let mut world = duel(&[(1000, 1000)]);
    world.step();
    let before = world.rows.clone();
    world.arena.players[0].bullets -= 7;
    world.arena.players[0].rockets -= 1;
    world.rows.clear();
    world.arena.write_rows(&mut world.rows);
    assert_eq!(before, world.rows);
}

#[test]
fn bodies_pass_through_no_wall_at_any_speed() {
    let mut dice = Dice::new(5);
    for hz in [1, 2, 5, 10, 30, 60, 128] {
        let rate = TickRate::new(hz).unwrap();
        for _ in 0..2_000 {
            let mut random = |max: i32| IVec2::new(dice.within(-max, max), dice.within(-max, max));
            let (velocity, movement) = (random(body::VELOCITY_MAX), random(127));
            let place = ARENA.spawns[dice.within(0, ARENA.spawns.len() as i32 - 1) as usize];
            let input = ArenaInput { movement, ..ArenaInput::default() };
            let mut body = Body { position: place, velocity };
            for _ in 0..10 {
                let before = body.position;
                body::advance(&mut body, &input, rate, &ARENA);
                assert!(ARENA.has_room(body.position), "{hz} Hz from {before} to {body:?}");
            }
        }
    }
}

#[test]
fn a_body_slides_along_walls_and_around_corners() {
    // Down and right, against the top of the block in the middle.
    let mut body = Body { position: at(1870, 1250), velocity: IVec2::ZERO };
    let rate = TickRate::new(30).unwrap();
    let input = ArenaInput { movement: IVec2::new(127, 127), ..ArenaInput::default() };
    for _ in 0..12 {
        body::advance(&mut body, &input, rate, &ARENA);
    }
    assert_eq!(body.position.y, cm(1350) - RADIUS);
    assert_eq!(body.velocity.y, 0);
    assert!(body.velocity.x > 0);
    for _ in 0..30 {
        body::advance(&mut body, &input, rate, &ARENA);
    }
    assert!(body.position.y > cm(1500), "around the corner and on: {body:?}");
}

pub(super) fn at(x: i32, y: i32) -> IVec2 {
    IVec2::new(cm(x), cm(y))
}

/// A match of players at these places, in centimetres.
pub(super) fn duel(places: &[(i32, i32)]) -> World {
    let mut world = World::new(1, 30, 0);
    for (seat, &(x, y)) in (0..).map(Seat).zip(places) {
        world.arena.join(seat);
        world.step();
        world.arena.players[seat.index()].body.position = at(x, y);
    }
    world.rows.clear();
    world.arena.write_rows(&mut world.rows);
    world
}

fn health(world: &World) -> Vec<i32> {
    let players = world.arena.players.iter().filter(|player| player.is_here());
    players.map(|player| player.health).collect()
}
