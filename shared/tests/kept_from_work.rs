//! What a client makes of time in which it did not run itself, and of a network that stands still
//! for as long.

use std::collections::VecDeque;

use tickwire_shared::{
    arena::Arena,
    game::MatchOptions,
    ids::Seat,
    testing::{Pipe, Profile, player::Player, world::World},
    time::{Micros, TickRate},
};

#[test]
fn a_program_that_is_kept_from_its_work_does_not_take_that_for_the_network() {
    let free = play(|_| Client::Runs);
    for first in [Client::ReadsFirst, Client::DrawsFirst] {
        let kept = play(|millis| if is_standing(millis) { Client::Stands } else { first });
        let [delay, ahead] = [kept.delay_us - free.delay_us, kept.ahead_us - free.ahead_us];
        assert!(delay < 34_000, "{delay} us more behind than who was not kept, {first:?}");
        assert!(ahead < 34_000, "{ahead} us more ahead than who was not kept, {first:?}");
    }
}

#[test]
fn a_network_that_stands_still_is_counted_in_full() {
    let stalled =
        play(|millis| if is_standing(millis) { Client::HearsNothing } else { Client::Runs });
    assert!(stalled.delay_us > 900_000, "{} us behind", stalled.delay_us);
    // From the second of the three on, by 4 % of the time.
    assert!(stalled.ahead_us > 200_000, "{} us ahead", stalled.ahead_us);
}

#[test]
fn who_draws_seldom_plays_all_the_same() {
    for every_ms in [100, 250] {
        for first in [Client::ReadsFirst, Client::DrawsFirst] {
            let seldom = |millis| if millis % every_ms == 0 { first } else { Client::Stands };
            let Ended { delay_us, ahead_us, inputs } = play(seldom);
            assert!(delay_us < 400_000, "{delay_us} us behind, {first:?} every {every_ms} ms");
            assert!(ahead_us < 200_000, "{ahead_us} us ahead, {first:?} every {every_ms} ms");
            assert!(u64::from(inputs) > 9_000 / every_ms, "{inputs} inputs");
        }
    }
}

const RATE: TickRate = TickRate::new(30).unwrap();

/// What a client does at a moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Client {
    Runs,
    /// What has come waits until it runs again.
    Stands,
    /// It runs, and reads all that waits before it draws.
    ReadsFirst,
    /// It runs, and draws before it reads.
    DrawsFirst,
    /// It runs, but the network brings and takes nothing.
    HearsNothing,
}

struct Ended {
    delay_us: i64,
    ahead_us: i64,
    /// Inputs that counted.
    inputs: u32,
}

/// Three times within the first ten seconds, for 1.5 s.
fn is_standing(millis: u64) -> bool {
    millis < 10_000 && millis % 3_000 >= 1_500
}

/// Twelve seconds of one player on a cable.
fn play(client: impl Fn(u64) -> Client) -> Ended {
    let mut world =
        World::<Arena>::new(MatchOptions { seed: 1, seats: 1, npcs: 3, tick_rate: RATE, mode: "" });
    let mut player = Player::<Arena>::new(Seat(0), RATE, 1);
    let [mut down, mut up] = [Pipe::down(&Profile::LAN, 1), Pipe::up(&Profile::LAN, 1)];
    let mut unread = VecDeque::new();
    world.connect(Seat(0), Micros(0));
    up.send(player.connect(Micros(0)), Micros(0));
    for millis in 0..12_000 {
        let (now, client) = (Micros::from_millis(millis), client(millis));
        if client != Client::HearsNothing {
            while let Some((_, frame)) = up.poll(now) {
                world.handle(Seat(0), &frame, now).expect("the client follows the protocol");
            }
            unread.extend(std::iter::from_fn(|| down.poll(now)));
        }
        if client == Client::DrawsFirst {
            player.play(now, |frame| up.send(frame, now));
        }
        if client != Client::Stands {
            for (_, frame) in unread.drain(..) {
                player.handle(&frame, now, |_| None).expect("the server does too");
            }
        }
        if client != Client::Stands && client != Client::DrawsFirst {
            player.play(now, |frame| up.send(frame, now));
        }
        if world.due() <= now {
            world.step(now);
        }
        world.sessions[0].out.drain(..).for_each(|frame| down.send(frame, now));
    }
    let ahead = player.link.pace().and_then(|pace| pace.ahead());
    Ended {
        delay_us: player.interpolation.delay().unwrap_or(0),
        ahead_us: ahead.expect("the clock is set"),
        inputs: world.sessions[0].queue.processed().0,
    }
}
