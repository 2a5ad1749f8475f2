//! Input leads and resyncs of the server's link, over a real socket.

mod support;

use support::{Client, TestServer};
use tickwire_shared::{arena::Arena, game::Game, ids::Tick, time::TickRate};

#[test]
fn players_learn_the_lead_of_their_inputs() {
    let server = TestServer::start::<Arena>(|config| config.tick_rate = TickRate::new(20).unwrap());
    let mut player = server.join();
    player.wait_snapshots(1);
    let first = player.link.applied().unwrap();
    // Inputs that a busy machine reads late give no lead.
    let mut inputs = 0;
    while player.lead.is_none() {
        assert!(inputs < 400, "no lead is reported");
        let newest = player.link.applied().unwrap();
        input_for(&mut player, newest.plus(6));
        inputs += 1;
        player.wait_snapshots(1);
    }
    // They were sent after one snapshot, and arrived before the one that reports their lead.
    let (told, lead) = player.lead.unwrap();
    let least = 50_000 * i64::from(first.plus(5).since(told)) - 33_000;
    assert!((least..=300_000).contains(&lead), "{lead} us, told with {told:?} after {first:?}");
    player.wait("the newest input", |player| player.link.processed().0 >= inputs);
    assert!(server.metric("tickwire_inputs_total") >= f64::from(inputs));
}

#[test]
fn a_resync_is_answered_with_a_full_snapshot() {
    let server = TestServer::start::<Arena>(|_| {});
    let mut player = server.join();
    player.wait_snapshots(1);
    // Each full snapshot has a digest, others only one in 32.
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
