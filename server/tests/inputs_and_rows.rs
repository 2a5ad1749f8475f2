//! What the server's half of a link tells of inputs and rows, over a real socket.

mod support;

use support::{Client, TestServer};
use tickwire_shared::{arena::Arena, game::Game, ids::Tick, time::TickRate};

#[test]
fn players_are_told_how_early_their_inputs_come() {
    let server = TestServer::start::<Arena>(|config| config.tick_rate = TickRate::new(20).unwrap());
    let mut player = server.join();
    player.wait_snapshots(1);
    let first = player.link.applied().unwrap();
    // Of what a busy machine reads late, nothing is told.
    let mut inputs = 0;
    while player.lead.is_none() {
        assert!(inputs < 400, "nothing is said of inputs");
        let newest = player.link.applied().unwrap();
        input_for(&mut player, newest.plus(6));
        inputs += 1;
        player.wait_snapshots(1);
    }
    // They were sent after a snapshot had come, and had come before the one that tells of them.
    let (told, lead) = player.lead.unwrap();
    let least = 50_000 * i64::from(first.plus(5).since(told)) - 33_000;
    assert!((least..=300_000).contains(&lead), "{lead} us, told with {told:?} after {first:?}");
    player.wait("the newest input", |player| player.link.processed().0 >= inputs);
    assert!(server.metric("tickwire_inputs_total") >= f64::from(inputs));
}

#[test]
fn who_asks_for_all_rows_is_sent_them() {
    let server = TestServer::start::<Arena>(|_| {});
    let mut player = server.join();
    player.wait_snapshots(1);
    // Each has a digest, of others only one in 32.
    for resyncs in 1..=5 {
        let (mut resync, digests) = (Vec::new(), player.digests);
        player.link.write_resync(&mut resync);
        player.send(&resync);
        player.wait("a digest", |player| player.digests > digests);
        assert_eq!(server.metric("tickwire_resyncs_total"), f64::from(resyncs));
    }
    assert!(player.snapshots < 5 * 32, "{} snapshots for 5 digests", player.snapshots);
}

fn input_for(player: &mut Client, tick: Tick) {
    let least: Vec<_> = Arena::schema().input.iter().map(|integer| integer.min).collect();
    let mut frame = Vec::new();
    player.link.write_input(tick, &least, &mut frame);
    player.send(&frame);
}
