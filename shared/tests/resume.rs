//! What a resume costs, and that no line of chat is lost or repeated by it.

#![expect(clippy::unwrap_used, reason = "these are tests, helpers included")]

use serde::{Deserialize, Serialize};
use tickwire_shared::{
    arena::Arena,
    dice::Dice,
    game::{Game, MatchOptions, Step},
    ids::{EntityId, Seat},
    link::{ClientEvent, ClientLink},
    rows::Rows,
    schema::{Field, Schema},
    testing::{Host, World},
    time::{Micros, TickRate},
};

/// Within a second of a fight of 16 players, nearly everything moves.
#[test]
fn resuming_after_a_second_costs_a_quarter_of_a_join_at_most() {
    let entities = check::<Arena>();
    assert!(entities < 40, "{entities} entities");
}

#[test]
fn so_it_does_with_64_entities_of_which_a_part_moves() {
    let entities = check::<Furnished>();
    assert!(entities >= 64, "{entities} entities");
}

#[test]
fn every_line_of_chat_arrives_once_and_in_order_though_connections_are_lost() {
    for seed in 0..10 {
        let mut dice = Dice::new(seed);
        let mut play = Play::<Arena>::new();
        let mut client = ClientLink::default();
        play.connect(&mut client);
        let lines: Vec<_> = (0..200).map(|n| n.to_string()).collect();
        // What the client sends after its connection was lost arrives nowhere.
        let mut lost_for = 0;
        for line in &lines {
            client.chat(line).unwrap();
            play.send_chat(&mut client, lost_for == 0);
            if lost_for > 0 || dice.within(0, 7) == 0 {
                lost_for += 1;
            }
            if lost_for == 10 || (lost_for > 0 && dice.within(0, 3) == 0) {
                play.connect(&mut client);
                play.send_chat(&mut client, true);
                lost_for = 0;
            }
        }
        play.connect(&mut client);
        play.send_chat(&mut client, true);
        assert_eq!(play.world.sessions[0].lines, lines, "seed {seed}");
    }
}

/// Counts every byte from the hello to the first snapshot: welcome, schema, events, rows. Returns
/// the number of entities.
fn check<G: Game>() -> usize {
    let mut play = Play::<G>::new();
    let mut client = ClientLink::default();
    let joined = play.connect(&mut client);
    play.run(&mut client, 5);
    play.world.disconnect(Seat(0));
    play.run(&mut client, 1);
    let resumed = play.connect(&mut client);
    assert!(resumed * 4 <= joined, "{resumed} bytes to resume, {joined} to join");
    assert_eq!(client.rows(), play.world.history.rows(play.world.tick));
    client.rows().unwrap().len()
}

/// The arena with as many crates again, five of which are hit every second.
#[derive(Serialize, Deserialize)]
struct Furnished {
    arena: Arena,
    healths: Vec<i32>,
}

const CRATES: u32 = 36;
const FIRST_CRATE: u32 = 1_000;

impl Game for Furnished {
    type Input = <Arena as Game>::Input;

    fn schema() -> Schema {
        let crate_fields = [
            Field::new("x", 0.01, 0, 4_000),
            Field::new("y", 0.01, 0, 3_000),
            Field::new("health", 1.0, 0, 100),
        ];
        Arena::schema().kind("crate", crate_fields)
    }

    fn new(options: &MatchOptions) -> Self {
        Self { arena: Arena::new(options), healths: vec![100; CRATES as usize] }
    }

    fn join(&mut self, seat: Seat) {
        self.arena.join(seat);
    }

    fn leave(&mut self, seat: Seat) {
        self.arena.leave(seat);
    }

    fn step(&mut self, step: &mut Step<'_, Self::Input>) {
        if step.tick.0.is_multiple_of(6) {
            let hit = step.tick.0 as usize / 6 * 7 % self.healths.len();
            self.healths[hit] = (self.healths[hit] - 9).max(0);
        }
        self.arena.step(step);
    }

    fn write_rows(&self, rows: &mut Rows) {
        self.arena.write_rows(rows);
        let kind = Arena::schema().kinds.len() as u8;
        for (n, &health) in (0..CRATES as i32).zip(&self.healths) {
            let id = EntityId(FIRST_CRATE + n.cast_unsigned());
            rows.push(id, kind, &[97 * n, 71 * n, health]);
        }
    }
}

struct Play<G: Game> {
    world: World<G>,
    now: Micros,
}

impl<G: Game> Play<G> {
    /// A lively match: 15 computer players and one client.
    fn new() -> Self {
        let tick_rate = TickRate::new(30).unwrap();
        let options = MatchOptions { seed: 1, seats: 16, npcs: 15, tick_rate, mode: "" };
        let mut play = Self { world: World::new(options), now: Micros(0) };
        play.run(&mut ClientLink::default(), 30);
        play
    }

    /// Connects, to join or to resume. Returns the bytes up to the first snapshot.
    fn connect(&mut self, client: &mut ClientLink) -> usize {
        let mut hello = Vec::new();
        client.write_hello("", None, &mut hello);
        self.world.connect(Seat(0), self.now);
        self.world.handle(Seat(0), &hello, self.now);
        self.step(client)
    }

    /// Sends the client's lines of chat, over a connection that has been lost if they don't arrive.
    fn send_chat(&mut self, client: &mut ClientLink, arrives: bool) {
        let mut frame = Vec::new();
        while client.poll_chat(&mut frame) {
            if arrives {
                self.world.handle(Seat(0), &frame, self.now);
            }
            frame.clear();
        }
    }

    fn run(&mut self, client: &mut ClientLink, seconds: u32) {
        for _ in 0..seconds * 30 {
            self.step(client);
        }
    }

    /// Runs one tick, without any delay. Returns the bytes that the client received.
    fn step(&mut self, client: &mut ClientLink) -> usize {
        self.now = self.world.due();
        self.world.step(self.now);
        let mut bytes = 0;
        for frame in std::mem::take(&mut self.world.sessions[0].out) {
            bytes += frame.len();
            if let ClientEvent::Snapshot { .. } = client.handle_frame(&frame, self.now).unwrap() {
                let mut ack = Vec::new();
                client.write_ack(&mut ack);
                self.world.handle(Seat(0), &ack, self.now);
            }
        }
        bytes
    }
}
