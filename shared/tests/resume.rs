//! What it costs to come back.

#![expect(clippy::unwrap_used, reason = "these are tests, helpers included")]

use tickwire_shared::{
    arena::Arena,
    game::MatchOptions,
    ids::Seat,
    link::{ClientEvent, ClientLink},
    testing::world::World,
    time::{Micros, TickRate},
};

/// Every byte from the hello to the first snapshot counts: welcome, schema, events, rows. A whole
/// second of 16 players who fight is much: hardly anything is where it was.
#[test]
fn who_missed_a_second_costs_a_quarter_of_a_full_join_at_most() {
    let mut play = Play::new();
    let mut client = ClientLink::default();
    let mut hello = Vec::new();
    ClientLink::write_hello("", None, &mut hello);
    let joined = play.come(&mut client, hello);
    play.run(&mut client, 5);
    play.world.disconnect(Seat(0));
    play.run(&mut client, 1);
    let mut hello = Vec::new();
    client.write_hello_again(&mut hello);
    let came_back = play.come(&mut client, hello);
    assert!(came_back * 4 <= joined, "{came_back} bytes to come back, {joined} to join");
    assert_eq!(client.rows(), play.world.history.rows(play.world.tick));
}

struct Play {
    world: World<Arena>,
    now: Micros,
}

impl Play {
    /// A lively match: 15 computers and whoever comes.
    fn new() -> Self {
        let tick_rate = TickRate::new(30).unwrap();
        let options = MatchOptions { seed: 1, seats: 16, npcs: 15, tick_rate };
        let mut play = Self { world: World::new(options), now: Micros(0) };
        play.run(&mut ClientLink::default(), 30);
        play
    }

    /// Connects with this hello: the bytes up to the first snapshot.
    fn come(&mut self, client: &mut ClientLink, hello: Vec<u8>) -> usize {
        self.world.connect(Seat(0), self.now);
        self.world.handle(Seat(0), &hello, self.now).unwrap();
        self.step(client)
    }

    fn run(&mut self, client: &mut ClientLink, seconds: u32) {
        for _ in 0..seconds * 30 {
            self.step(client);
        }
    }

    /// One tick, without any delay: the bytes that it brought the client.
    fn step(&mut self, client: &mut ClientLink) -> usize {
        self.now = self.world.due();
        self.world.step(self.now);
        let mut bytes = 0;
        for frame in std::mem::take(&mut self.world.sessions[0].out) {
            bytes += frame.len();
            if let ClientEvent::Snapshot { .. } = client.handle_frame(&frame, self.now).unwrap() {
                let mut ack = Vec::new();
                client.write_ack(&mut ack);
                self.world.handle(Seat(0), &ack, self.now).unwrap();
            }
        }
        bytes
    }
}
