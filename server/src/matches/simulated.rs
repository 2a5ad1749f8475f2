//! Matches in simulated time: the whole [`Match`] with its sockets, played on by the clients of
//! [`Simulation`] over bad networks.
//!
//! Only two things are not as in a real server: the clock stands still during each call, and the
//! other ends of the sockets are in this thread. They are local ones, which deliver at once.

mod attacker;

use std::{
    collections::VecDeque,
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    os::{fd::OwnedFd, unix::net::UnixStream},
    rc::Rc,
    sync::Arc,
};

use tickwire_shared::{
    arena::Arena,
    ids::{Seat, SessionId, Tick},
    link::{ClientEvent, ClientLink, server::write_message},
    rows::Rows,
    state,
    testing::{Host, Outcome, Played, Profile, Simulation, frames, world::fingerprint},
    time::{Micros, TickRate},
    wire::ServerMessage,
};
use tokio::sync::mpsc;

use super::{Claim, Context, Match, MatchSettings, Newcomer, Role, SavedMatch, interest::ALL};
use crate::{
    clock::Clock,
    config::Config,
    directory::{Access, Directory},
    feeds::FeedSender,
    intake::Intake,
    journal::Journaled,
    limits::Limits,
    mailbox::Removal,
    places::ConnectionLimiter,
    socket::{Socket, Upgraded},
    telemetry::Stats,
};
use attacker::Attacker;

/// The first byte of a whole binary message.
const BINARY: u8 = 0x82;

#[test]
fn nothing_is_lost_or_wrong_over_any_network() {
    for profile in Profile::ALL {
        let outcome = check(profile, 0);
        let (frames, ticks) = (outcome.frames_starved(), outcome.ticks_starved());
        assert!(frames < 0.02 && ticks < 0.03, "{}: {frames} and {ticks} starved", profile.name);
    }
}

#[test]
fn sessions_whose_connections_are_lost_miss_nothing() {
    for profile in Profile::ALL {
        let outcome = check(profile, 10);
        assert!(outcome.reconnects > 10, "{} reconnects", outcome.reconnects);
    }
}

#[test]
fn a_simulation_is_determined_by_its_seed() {
    let short = Simulation { lasts: Micros::from_secs(10), ..simulation(Profile::G4, 3) };
    let run = || short.run_on::<Arena>(&mut SimulatedMatch::<Arena>::new(&short, None));
    assert_eq!(run(), run());
}

#[test]
fn players_do_not_notice_a_client_that_sends_invalid_bytes() {
    let simulation = Simulation { players: 4, ..simulation(Profile::WIFI, 20) };
    let mut attacked = SimulatedMatch::<Arena>::new(&simulation, Some(Attacker::new()));
    let outcome = simulation.run_on::<Arena>(&mut attacked);
    assert!(outcome.faults().is_empty(), "{:?}", outcome.faults());
    assert!(outcome.frames_starved() < 0.01, "{} starved", outcome.frames_starved());
    let closed = &attacked.stats.closed;
    assert!(closed.len() > 10 && closed.values().sum::<u64>() > 100, "{closed:?}");
}

#[test]
fn clients_that_always_request_full_snapshots_do_not_keep_them_from_others() {
    let simulation = Simulation { players: 1, ..simulation(Profile::LAN, 0) };
    let mut found = SimulatedMatch::<Arena>::new(&simulation, None);
    let mut greedy: Vec<_> = (0..64).map(|_| Spectator::new(&mut found)).collect();
    let mut modest = Spectator::new(&mut found);
    for tick in 0..100 {
        let now = found.due();
        for spectator in greedy.iter_mut().chain([&mut modest]) {
            spectator.receive(now);
        }
        greedy.iter_mut().for_each(Spectator::request_full);
        if tick == 50 {
            modest.request_full();
            modest.snapshots = 0;
        }
        found.step(now);
    }
    assert!(modest.snapshots > 25, "{} snapshots in 50 ticks", modest.snapshots);
}

#[test]
fn a_player_whom_an_operator_removes_is_not_saved_again() {
    let simulation = Simulation { players: 1, ..simulation(Profile::LAN, 0) };
    let mut played = SimulatedMatch::<Arena>::new(&simulation, None);
    let mut client = played.accept(Role::Player, Micros(0));
    let (mut link, mut hello) = (ClientLink::default(), Vec::new());
    link.write_hello("Ada", None, &mut hello);
    client.write_all(&frames::frame(BINARY, &hello)).expect("the socket has room");
    played.step(played.due());
    let saved = |played: &mut SimulatedMatch<Arena>| -> Vec<String> {
        let state = played.found.saved().expect("it can be saved");
        let saved: SavedMatch = state::read(&state).expect("it can be read");
        saved.sessions.into_iter().map(|session| session.name).collect()
    };
    assert_eq!(saved(&mut played), ["Ada"]);
    let removal = Removal::Seat(played.found.id(), Seat(0));
    assert_eq!(played.call(Micros(0), |found, _, context| found.remove(&removal, context)), 1);
    assert_eq!(saved(&mut played), [""; 0]);
}

#[track_caller]
fn check(profile: Profile, cut_every_s: u64) -> Outcome {
    let simulation = simulation(profile, cut_every_s);
    let outcome = simulation.run_on::<Arena>(&mut SimulatedMatch::<Arena>::new(&simulation, None));
    assert!(outcome.faults().is_empty(), "{}: {:?}", profile.name, outcome.faults());
    assert!(outcome.events > 0, "{}: no events", profile.name);
    outcome
}

fn simulation(profile: Profile, cut_every_s: u64) -> Simulation {
    let rate = TickRate::new(30).expect("it is within 1 to 128");
    let (lasts, cut_every) = (Micros::from_secs(120), Micros::from_secs(cut_every_s));
    Simulation { seed: 1, profile, players: 8, rate, lasts, cut_every }
}

/// A match, and what a shard has for it.
struct SimulatedMatch<G: Played> {
    found: Match<G>,
    limiter: ConnectionLimiter,
    intake: Intake,
    stats: Stats,
    seats: Vec<SimulatedSeat>,
    /// Connects when all players have joined.
    attacker: Option<Attacker>,
}

/// The client's end of a seat's connection.
#[derive(Default)]
struct SimulatedSeat {
    stream: Option<UnixStream>,
    has_joined: bool,
    /// Frames that have arrived and wait until the match reads its sockets.
    arrived: VecDeque<(Micros, Vec<u8>)>,
    received: Vec<u8>,
    fingerprints: Vec<u32>,
}

impl<G: Played> SimulatedMatch<G> {
    fn new(simulation: &Simulation, attacker: Option<Attacker>) -> Self {
        let mut options = simulation.options::<G>();
        // An attacker may have one seat, and lose another.
        options.seats += if attacker.is_some() { 2 } else { 0 };
        let (sender, _) = mpsc::channel(1);
        let feed = FeedSender::new(sender, Arc::default());
        let settings = MatchSettings::new(&Config::default());
        let schema = Rc::new(G::schema());
        let entry = Directory::new(1, 1).add(&options, Access::Public, |_| true);
        let entry = entry.expect("there is room for one");
        let game = Journaled::not(G::new(&options));
        Self {
            found: Match::new(entry, game, options, settings, &schema, Micros(0), feed),
            limiter: ConnectionLimiter::new(&Limits::default()),
            intake: Intake::new(),
            stats: Stats::default(),
            seats: (0..simulation.players).map(|_| SimulatedSeat::default()).collect(),
            attacker,
        }
    }

    /// Calls the match as its shard does.
    fn call<T>(
        &mut self,
        now: Micros,
        call: impl FnOnce(&mut Match<G>, &mut Intake, &mut Context<'_>) -> T,
    ) -> T {
        let mut closed = Vec::new();
        let (clock, stats) = (Clock::stopped(now), &mut self.stats);
        let mut context = Context { now, clock, drain_deadline: None, stats, closed: &mut closed };
        call(&mut self.found, &mut self.intake, &mut context)
    }

    /// Makes a connection, and returns the client's end.
    fn accept(&mut self, role: Role, now: Micros) -> UnixStream {
        let (server, client) = UnixStream::pair().expect("a socket pair");
        client.set_nonblocking(true).expect("a socket");
        let (place, _) = self.limiter.enter(None, now).expect("a place");
        let stream = TcpStream::from(OwnedFd::from(server));
        let socket = Socket::new(Upgraded { stream, tls: None, place });
        let newcomer = Newcomer { id: SessionId(0), role, claim: Claim::default() };
        self.call(now, |found, intake, context| {
            found.accept(socket, newcomer, &mut [], intake, context);
        });
        client
    }

    /// Lets the match read what has arrived, with the times at which it did. Seats are taken in the
    /// order of the first hellos, which must be that of the players.
    fn read_arrived(&mut self) {
        for seat in 0..self.seats.len() {
            if seat > 0 && !self.seats[seat - 1].has_joined {
                break;
            }
            while let Some((at, frame)) = self.seats[seat].arrived.pop_front() {
                let found = &mut self.seats[seat];
                found.has_joined = true;
                let Some(stream) = &mut found.stream else { break };
                stream.write_all(&frames::frame(BINARY, &frame)).expect("the socket has room");
                self.call(at, |found, intake, context| found.read_sockets(intake, context));
            }
        }
    }
}

impl<G: Played> Host for SimulatedMatch<G> {
    fn tick(&self) -> Tick {
        self.found.tick
    }

    fn due(&self) -> Micros {
        self.found.schedule.due()
    }

    fn connect(&mut self, seat: Seat, now: Micros) {
        self.disconnect(seat);
        let role = if self.seats[seat.index()].has_joined { Role::Resumer } else { Role::Player };
        self.seats[seat.index()].stream = Some(self.accept(role, now));
    }

    fn disconnect(&mut self, seat: Seat) {
        let seat = &mut self.seats[seat.index()];
        seat.stream = None;
        seat.arrived.clear();
        seat.received.clear();
    }

    fn handle(&mut self, seat: Seat, frame: &[u8], now: Micros) {
        self.seats[seat.index()].arrived.push_back((now, frame.to_vec()));
    }

    fn step(&mut self, now: Micros) {
        if self.seats.iter().all(|seat| seat.has_joined)
            && let Some(mut attacker) = self.attacker.take()
        {
            attacker.attack(self, now);
            self.attacker = Some(attacker);
        }
        self.read_arrived();
        self.call(now, Match::run);
        for event in self.found.events.iter() {
            let mut frame = Vec::new();
            let values = event.values.into();
            let message = ServerMessage::Event { tick: self.found.tick, kind: event.kind, values };
            write_message(&message, &mut frame);
            for (_, session) in &self.found.sessions {
                if event.audience.includes(session.seat)
                    && let Some(seat) = session.seat
                {
                    self.seats[seat.index()].fingerprints.push(fingerprint(&frame));
                }
            }
        }
    }

    fn take_frames(&mut self, seat: Seat) -> Vec<Vec<u8>> {
        let seat = &mut self.seats[seat.index()];
        let Some(stream) = &mut seat.stream else { return Vec::new() };
        match stream.read_to_end(&mut seat.received) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            other => panic!("the match has closed the connection: {other:?}"),
        }
        let mut frames = Vec::new();
        while let Some(frame) = take_binary(&mut seat.received) {
            frames.push(frame);
        }
        frames
    }

    fn rows(&self, tick: Tick) -> Option<&Rows> {
        self.found.scenes[ALL].history.rows(tick)
    }

    fn fingerprints(&self, seat: Seat) -> &[u32] {
        &self.seats[seat.index()].fingerprints
    }

    fn starved(&self, seat: Seat) -> u64 {
        self.found.queues[seat.index()].starved()
    }

    fn skipped(&self) -> u64 {
        self.stats.skipped_credit + self.stats.skipped_unflushed
    }
}

/// Takes the payload of the first of the server's frames, if it is whole.
fn take_binary(bytes: &mut Vec<u8>) -> Option<Vec<u8>> {
    let (first, payload) = frames::take(bytes)?;
    assert_eq!(first, BINARY, "an unexpected frame: {payload:?}");
    Some(payload)
}

/// A client without a network.
struct Spectator {
    link: ClientLink,
    stream: UnixStream,
    received: Vec<u8>,
    snapshots: u32,
}

impl Spectator {
    fn new<G: Played>(found: &mut SimulatedMatch<G>) -> Self {
        let stream = found.accept(Role::Spectator, Micros(0));
        let link = ClientLink::default();
        let mut spectator = Self { link, stream, received: Vec::new(), snapshots: 0 };
        let mut hello = Vec::new();
        spectator.link.write_hello("", None, &mut hello);
        spectator.send(&hello);
        spectator
    }

    fn send(&mut self, payload: &[u8]) {
        self.stream.write_all(&frames::frame(BINARY, payload)).expect("the socket has room");
    }

    /// Applies and acknowledges what has arrived.
    fn receive(&mut self, now: Micros) {
        // It would block at the end of what has arrived.
        let _ = self.stream.read_to_end(&mut self.received);
        while let Some(frame) = take_binary(&mut self.received) {
            let event =
                self.link.handle_frame(&frame, now).expect("the server follows the protocol");
            self.snapshots += u32::from(matches!(event, ClientEvent::Snapshot { .. }));
        }
        let mut ack = Vec::new();
        self.link.write_ack(&mut ack);
        if !ack.is_empty() {
            self.send(&ack);
        }
    }

    fn request_full(&mut self) {
        let mut resync = Vec::new();
        self.link.write_resync(&mut resync);
        self.send(&resync);
    }
}
