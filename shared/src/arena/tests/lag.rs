//! Lag compensation: shots are judged by what the shooter saw.

use std::ops::RangeInclusive;

use super::{
    super::units::{angle_of, cm},
    rules::at,
    *,
};
use crate::{
    history::History,
    ids::InputSeq,
    link::{ClientEvent, ClientLink},
    replica::Interpolation,
    testing::{Host, Pipe, Profile, world},
    time::{Micros, Moment},
};

const RATE: TickRate = TickRate::new(30).unwrap();

#[test]
fn a_shot_hits_a_player_that_the_shooter_saw_in_the_line_of_fire() {
    // The target ran out of the line of fire 6 ticks ago, and the shooter sees it 6.5 ticks late.
    check_shot(Some(Moment { tick: Tick(93), part: 128 }), true);
    check_shot(Some(Moment { tick: Tick(95), part: 0 }), false);
    check_shot(None, false);
}

#[test]
fn nobody_is_hit_a_quarter_of_a_second_after_taking_cover() {
    // 250 ms are 7.5 ticks; a player who jumps is shown at the old place until the tick is over.
    let long_ago = Moment { tick: Tick(60), part: 0 };
    check_shot_at(100, Some(long_ago), true);
    check_shot_at(103, Some(long_ago), false);
}

/// A player who sees others 200 ms late, and aims at them as seen, hits as if there were no
/// network. Shots miss only after a stall, when others are shown later than is compensated for.
#[test]
fn aiming_at_what_is_seen_hits_over_a_phone_network() {
    check_hits(Profile::G4, Seen::Sent, 80..=100);
    // With more jitter, the shown moment is further behind the newest snapshot.
    let delay = Micros::from_millis(40);
    let jumpy = Profile { delay, jitter: delay, stall_every: Micros(0), ..Profile::G4 };
    check_hits(jumpy, Seen::Sent, 97..=100);
    check_hits(jumpy, Seen::NotSent, 0..=80);
}

/// Checks the percentage of shots that hit, over four connections with this profile.
#[track_caller]
fn check_hits(profile: Profile, seen: Seen, percent: RangeInclusive<u32>) {
    let minutes = (1..=4).map(|seed| shoot_at_a_runner(profile, seen, seed));
    let (shots, hits) = minutes.fold((0, 0), |sum, (shots, hits)| (sum.0 + shots, sum.1 + hits));
    assert!(shots > 1_000 && percent.contains(&(hits * 100 / shots)), "{hits} of {shots} hit");
}

/// A shot to the right in tick 100, by a shooter who saw `seen`.
#[track_caller]
fn check_shot(seen: Option<Moment>, hits: bool) {
    check_shot_at(100, seen, hits);
}

/// The target was in the line of fire up to tick 94.
#[track_caller]
fn check_shot_at(tick: u32, seen: Option<Moment>, hits: bool) {
    let mut world = rules::duel(&[(1000, 1000), (1500, 1000)]);
    let mut history = History::default();
    for past in tick - 50..tick {
        let y = if past <= 94 { 1000 } else { 1200 };
        world.arena.players[1].body.position.y = cm(y);
        world.arena.write_rows(history.push(Tick(past)));
    }
    world.inputs[0].fire = true;
    let seen = [seen, None];
    world.events.clear();
    world.arena.step(&mut Step {
        tick: Tick(tick),
        inputs: &world.inputs,
        past: Rewind::new(&history, &seen, Tick(tick), RATE),
        events: &mut world.events,
    });
    assert_eq!(count(&world, events::HIT) == 1, hits, "{seen:?} in tick {tick}");
}

/// Whether the shooter's inputs say which moment it sees.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Seen {
    Sent,
    NotSent,
}

/// Shots and hits within a minute, at a player who runs up and down 6 m away.
fn shoot_at_a_runner(profile: Profile, seen: Seen, seed: u64) -> (u32, u32) {
    let options = MatchOptions { seed: 3, seats: 2, npcs: 0, tick_rate: RATE, mode: "" };
    let mut world = world::World::<Arena>::new(options);
    let (mut down, mut up) = (Pipe::down(&profile, seed), Pipe::up(&profile, seed));
    let mut shooter = ClientLink::default();
    let mut interpolation = Interpolation::default();
    let mut hello = Vec::new();
    shooter.write_hello("", None, &mut hello);
    world.connect(Seat(0), Micros(0));
    up.send(hello, Micros(0));
    world.game.join(Seat(1));
    let (mut hits, mut shots, mut runs) = (0, 0, 127);
    for millis in 0..70_000 {
        let now = Micros::from_millis(millis);
        while let Some((at, frame)) = up.poll(now) {
            world.handle(Seat(0), &frame, at);
        }
        if world.due() <= now {
            prepare(&mut world.game, &mut runs);
            let (tick, input) = (world.tick.plus(1), run(runs));
            world.sessions[1].queue.push(tick, InputSeq(tick.0), Moment::default(), input);
            let before = world.game.players[0].shots;
            world.step(now);
            if millis > 10_000 {
                shots += u32::from(world.game.players[0].shots.wrapping_sub(before));
            }
        }
        world.sessions[0].out.drain(..).for_each(|frame| down.send(frame, now));
        while let Some((at, frame)) = down.poll(now) {
            match shooter.handle_frame(&frame, at).unwrap() {
                ClientEvent::Snapshot { tick, .. } => {
                    let (clock, rows) = (shooter.clock().unwrap(), shooter.rows().unwrap());
                    interpolation.push(tick, rows, clock, at);
                }
                ClientEvent::Event { kind: events::HIT, tick, .. } if tick.0 > 10 * 30 => hits += 1,
                ClientEvent::Welcome(_)
                | ClientEvent::Event { .. }
                | ClientEvent::Pong { .. }
                | ClientEvent::Model
                | ClientEvent::Pace { .. }
                | ClientEvent::Leaving { .. }
                | ClientEvent::Social(_) => {}
            }
        }
        let aim = aim_at_what_is_seen(&mut shooter, &mut interpolation, seen, now);
        let mut frame = Vec::new();
        while let Some(tick) = shooter.poll_input(now) {
            let fire = ArenaInput { aim, fire: true, ..ArenaInput::default() };
            let mut values = [0; 4];
            fire.write_values(&mut values);
            shooter.write_input(tick, &values, &mut frame).unwrap();
            up.send(std::mem::take(&mut frame), now);
        }
        shooter.poll_ping(now, &mut frame);
        if !frame.is_empty() {
            up.send(frame, now);
        }
    }
    (shots, hits)
}

/// The shooter stands, with enough to shoot; the runner lives, and turns at the ends of its way.
fn prepare(arena: &mut Arena, runs: &mut i32) {
    for player in &mut arena.players {
        (player.health, player.bullets) = (100, 40);
    }
    let [shooter, runner] = &mut arena.players[..] else { panic!("two players") };
    shooter.body = body::Body { position: at(1000, 1000), ..body::Body::default() };
    runner.body.position.x = cm(1600);
    let y = runner.body.position.y;
    if !(cm(500)..=cm(1500)).contains(&y) {
        runner.body.position.y = cm(1000);
    } else if y < cm(800) {
        *runs = 127;
    } else if y > cm(1200) {
        *runs = -127;
    }
}

const fn run(movement: i32) -> ArenaInput {
    ArenaInput { movement: glam::IVec2::new(0, movement), aim: 0, fire: false, alt_fire: false }
}

fn aim_at_what_is_seen(
    shooter: &mut ClientLink,
    interpolation: &mut Interpolation,
    seen: Seen,
    now: Micros,
) -> i32 {
    let aim = shooter.clock().and_then(|clock| {
        let view = interpolation.view(clock, now)?;
        let runner = view.find(rows::player_id(Seat(1)))?;
        let fields = &rows::SCHEMA.kinds[usize::from(rows::PLAYER)].fields;
        let [x, y] = rows::POSITION_FIELDS.map(|index| runner.value(fields, index, RATE));
        let way = glam::Vec2::new(x, y) - at(1000, 1000).as_vec2();
        Some((angle_of(way), view.moment()))
    });
    let Some((aim, moment)) = aim else { return 0 };
    if seen == Seen::Sent {
        shooter.set_seen(moment);
    }
    aim
}
