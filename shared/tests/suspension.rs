//! A client's estimates after it was suspended itself, and after a stall of the network of the same
//! length.

use std::collections::VecDeque;

use tickwire_shared::{
    arena::Arena,
    game::MatchOptions,
    ids::Seat,
    testing::{Host, Pipe, Profile, World, player::Player},
    time::{Micros, TickRate},
};

#[test]
fn a_suspended_client_does_not_mistake_that_for_a_network_stall() {
    let free = play(|_| Client::Runs);
    for first in [Client::ReadsFirst, Client::DrawsFirst] {
        let kept = play(|millis| if is_paused(millis) { Client::Pauses } else { first });
        let [delay, ahead] = [kept.delay_us - free.delay_us, kept.ahead_us - free.ahead_us];
        assert!(delay < 34_000, "{delay} us more behind than without a pause, {first:?}");
        assert!(ahead < 34_000, "{ahead} us more ahead than without a pause, {first:?}");
    }
}

#[test]
fn a_network_stall_counts_in_full() {
    let stalled = play(|millis| if is_paused(millis) { Client::IsCutOff } else { Client::Runs });
    assert!(stalled.delay_us > 900_000, "{} us behind", stalled.delay_us);
    // From the second of the three on, by 4 % of the time.
    assert!(stalled.ahead_us > 200_000, "{} us ahead", stalled.ahead_us);
}

#[test]
fn a_client_that_seldom_renders_can_still_play() {
    for every_ms in [100, 250] {
        for first in [Client::ReadsFirst, Client::DrawsFirst] {
            let seldom = |millis| if millis % every_ms == 0 { first } else { Client::Pauses };
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
    /// It does not run; frames that arrive wait until it does.
    Pauses,
    /// It runs, and reads all waiting frames before it renders.
    ReadsFirst,
    /// It runs, and renders before it reads.
    DrawsFirst,
    /// It runs, but the network delivers nothing in either direction.
    IsCutOff,
}

struct Ended {
    delay_us: i64,
    ahead_us: i64,
    /// Inputs that were used.
    inputs: u32,
}

/// True three times within the first ten seconds, for 1.5 s each.
fn is_paused(millis: u64) -> bool {
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
        if client != Client::IsCutOff {
            while let Some((_, frame)) = up.poll(now) {
                world.handle(Seat(0), &frame, now);
            }
            unread.extend(std::iter::from_fn(|| down.poll(now)));
        }
        if client == Client::DrawsFirst {
            player.play(now, |frame| up.send(frame, now));
        }
        if client != Client::Pauses {
            for (_, frame) in unread.drain(..) {
                player.handle(&frame, now, |_| None).expect("the server follows the protocol");
            }
        }
        if client != Client::Pauses && client != Client::DrawsFirst {
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
        ahead_us: ahead.expect("the clock has an estimate"),
        inputs: world.sessions[0].queue.processed().0,
    }
}
