//! The server's half of a match in simulated time: the same links, input queues, history and codec
//! as in the server, without its sockets.

use super::simulation::Host;
use crate::{
    codec::Encoder,
    game::{Events, Game, Input, MatchOptions, Step},
    history::History,
    ids::{InputSeq, Seat, SessionId, Tick},
    link::{Basis, EventLog, InputQueue, Received, ServerLink, Snapshot, server::write_message},
    misfit::Misfit,
    replica::Rewind,
    rows::Rows,
    schema::Schema,
    time::{Micros, Moment},
    wire::{Hello, Pong, ResumeToken, ServerMessage, Welcome, model_hash},
};

/// A match without sockets, in simulated time; see the [module](self).
#[derive(Debug)]
pub struct World<G: Game> {
    /// The game.
    pub game: G,
    /// The newest tick.
    pub tick: Tick,
    /// Rows of recent ticks.
    pub history: History,
    /// One session for each seat.
    pub sessions: Vec<Session<G::Input>>,
    pub(super) options: MatchOptions,
    /// Whether inputs are written out and read back before a step, as for a journal.
    pub(super) rereads_inputs: bool,
    schema: Schema,
    encoder: Encoder,
    events: Events,
    log: EventLog,
    /// Snapshots that were skipped.
    skipped: u64,
}

/// The session of a seat, and its connection if there is one.
#[derive(Debug, Default)]
pub struct Session<I: Clone + Default> {
    /// The connection.
    pub link: Option<ServerLink>,
    /// Inputs that wait for their tick.
    pub queue: InputQueue<I>,
    /// Frames to be sent.
    pub out: Vec<Vec<u8>>,
    /// A fingerprint of each event that was meant for it.
    fingerprints: Vec<u32>,
    seq: InputSeq,
    /// Lines of chat that were received.
    pub lines: Vec<String>,
    pub(super) has_joined: bool,
    /// The data in the player's ticket.
    pub data: Vec<i32>,
}

impl<G: Game> World<G> {
    /// A match without players, whose first tick is due at 0.
    #[must_use]
    pub fn new(options: MatchOptions) -> Self {
        let schema = G::schema();
        Self {
            game: G::new(&options),
            tick: Tick(0),
            history: History::default(),
            sessions: (0..options.seats).map(|_| Session::default()).collect(),
            encoder: Encoder::new(&schema, options.tick_rate),
            options,
            rereads_inputs: false,
            schema,
            events: Events::default(),
            log: EventLog::default(),
            skipped: 0,
        }
    }

    /// Lets the player in a seat leave the match.
    pub fn leave(&mut self, seat: Seat) {
        self.detach(seat);
        let session = &mut self.sessions[seat.index()];
        if std::mem::take(&mut session.has_joined) {
            session.queue.vacate();
            session.seq = InputSeq(0);
            session.lines.clear();
            self.game.leave(seat);
        }
    }

    /// Ends the connection of a seat. Returns whether it was a player's.
    fn detach(&mut self, seat: Seat) -> bool {
        let session = &mut self.sessions[seat.index()];
        session.out.clear();
        let Some(link) = session.link.take_if(|link| link.is_welcomed()) else {
            session.link = None;
            return false;
        };
        session.seq = link.seq();
        session.queue.release();
        true
    }

    fn welcome(&mut self, seat: Seat, hello: &Hello) {
        let session = &mut self.sessions[seat.index()];
        let token = ResumeToken([seat.0 as u8; 16]);
        if !session.has_joined {
            session.has_joined = true;
            self.game.join_with(seat, &session.data);
        } else {
            let resumed = hello.resume.as_ref().map(|resume| resume.token);
            assert_eq!(resumed, Some(token), "the client resumes its own session");
            self.game.back(seat);
        }
        let kept = hello.resume.as_ref().and_then(|resume| resume.kept.as_ref());
        let model = self.encoder.model();
        let has_model = kept.is_some_and(|kept| kept.model_hash == model_hash(model));
        let first = super::welcome(self.schema.clone(), self.options.tick_rate);
        let welcome = Welcome {
            session: SessionId(seat.0.into()),
            resume: token,
            seat: Some(seat),
            seq: session.seq,
            events: kept.map_or(session.fingerprints.len() as u32, |kept| kept.events),
            lines: session.lines.len() as u32,
            schema: first.schema.filter(|_| hello.schema_hash.is_none()),
            model: (!has_model).then(|| model.to_vec()),
            ..first
        };
        let link = session.link.as_mut().expect("the hello came over it");
        link.welcome(&welcome);
        push(&ServerMessage::Welcome(Box::new(welcome)), &mut session.out);
        let Some(kept) = kept else { return };
        let missed = session.fingerprints.len() as u32 - kept.events;
        let send = |payload: &[u8]| session.out.push(payload.to_vec());
        self.log.replay(Some(seat), missed, send).expect("the log has all events");
        if let Some(applied) = kept.applied
            && self.history.rows(applied).is_some()
        {
            link.resume_from(applied);
        }
    }

    fn write_events(&mut self) {
        if let Some(model) = self.encoder.poll_model() {
            let message = ServerMessage::Model(model.into());
            for session in self.sessions.iter_mut().filter(|session| session.is_welcome()) {
                push(&message, &mut session.out);
            }
        }
        for event in self.events.iter() {
            let mut frame = Vec::new();
            let values = event.values.into();
            let message = ServerMessage::Event { tick: self.tick, kind: event.kind, values };
            write_message(&message, &mut frame);
            self.log.push(event.audience, &frame);
            for (seat, session) in (0..).map(Seat).zip(&mut self.sessions) {
                if session.has_joined && event.audience.includes(Some(seat)) {
                    session.fingerprints.push(fingerprint(&frame));
                    if session.is_welcome() {
                        session.out.push(frame.clone());
                    }
                }
            }
        }
    }

    fn write_snapshots(&mut self, now: Micros) {
        let tick = self.tick;
        let mut bodies: Vec<(Basis, Vec<u8>)> = Vec::new();
        for (seat, session) in (0..).map(Seat).zip(&mut self.sessions) {
            let Some(link) = session.link.as_mut().filter(|link| link.is_welcomed()) else {
                continue;
            };
            if !link.has_credit(tick, now) {
                self.skipped += 1;
                continue;
            }
            let rows_of = |tick| self.history.rows(tick).expect("a basis is within the history");
            let basis = link.basis(tick);
            let rows = rows_of(tick);
            let found = bodies.iter().position(|(encoded_from, _)| *encoded_from == basis);
            let place = found.unwrap_or_else(|| {
                let mut body = Vec::new();
                self.encoder.encode(&basis.with_rows(rows_of), tick, rows, &mut body);
                bodies.push((basis, body));
                bodies.len() - 1
            });
            let body = &bodies[place].1;
            let mut owner = Vec::new();
            let mut values: Vec<_> = self.schema.owner.iter().map(|integer| integer.min).collect();
            self.game.write_owner(seat, &mut values);
            self.schema
                .pack_owner(seat, &values, &mut owner)
                .unwrap_or_else(|misfit| fail(tick, &misfit));
            let processed = session.queue.processed();
            let digest = Some(rows.digest());
            let snapshot = Snapshot { tick, digest, processed, owner: &owner, body };
            let mut frame = Vec::new();
            link.write_snapshot(&snapshot, now, &mut frame);
            session.out.push(frame);
        }
    }
}

impl<G: Game> Host for World<G> {
    fn tick(&self) -> Tick {
        self.tick
    }

    fn due(&self) -> Micros {
        Micros(self.options.tick_rate.nanos_to(u64::from(self.tick.0)) / 1_000)
    }

    fn connect(&mut self, seat: Seat, now: Micros) {
        self.disconnect(seat);
        self.sessions[seat.index()].link = Some(ServerLink::new(now));
    }

    fn disconnect(&mut self, seat: Seat) {
        if self.detach(seat) {
            self.game.away(seat);
        }
    }

    fn handle(&mut self, seat: Seat, frame: &[u8], now: Micros) {
        let due = self.due();
        let session = &mut self.sessions[seat.index()];
        let Some(link) = &mut session.link else { return };
        let mut values = vec![0; self.schema.input.len()];
        let received = link.handle_frame(frame, &self.schema.input, &mut values, now);
        match received.expect("the client follows the protocol") {
            Received::Input { seq, tick, seen } => {
                let early = i64::from(tick.since(self.tick.plus(1)));
                let interval = self.options.tick_rate.interval().0.cast_signed();
                link.record_lead(due.signed_since(now) + early * interval);
                session.queue.push(tick, seq, seen, G::Input::from_values(&values));
            }
            Received::Ping { client_time } => {
                let before = u64::from(self.tick.0.saturating_sub(1));
                let tick_time = Micros(self.options.tick_rate.nanos_to(before) / 1_000);
                let pong = Pong {
                    client_time,
                    server_time: now,
                    held: Micros(0),
                    tick: self.tick,
                    tick_time,
                };
                push(&ServerMessage::Pong(pong), &mut session.out);
            }
            Received::Hello(hello) => self.welcome(seat, &hello),
            Received::Chat(text) => session.lines.push(text),
            Received::Ack | Received::Resync => {}
        }
    }

    fn step(&mut self, now: Micros) {
        self.tick = self.tick.plus(1);
        let tick = self.tick;
        let mut inputs = Vec::new();
        let mut seen: Vec<Option<Moment>> = Vec::new();
        let mut values = vec![0; self.schema.input.len()];
        for session in &mut self.sessions {
            let mut input = session.queue.take(tick).clone();
            if self.rereads_inputs {
                input.write_values(&mut values);
                input = G::Input::from_values(&values);
            }
            inputs.push(input);
            seen.push(session.queue.seen());
        }
        self.events.clear();
        let past = Rewind::new(&self.history, &seen, tick, self.options.tick_rate);
        self.game.step(&mut Step { tick, inputs: &inputs, past, events: &mut self.events });
        let rows = self.history.push(tick);
        self.game.write_rows(rows);
        self.schema
            .check_rows(rows)
            .and_then(|()| self.schema.check_events(&self.events))
            .unwrap_or_else(|misfit| fail(tick, &misfit));
        self.write_events();
        self.write_snapshots(now);
    }

    fn take_frames(&mut self, seat: Seat) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.sessions[seat.index()].out)
    }

    fn rows(&self, tick: Tick) -> Option<&Rows> {
        self.history.rows(tick)
    }

    fn fingerprints(&self, seat: Seat) -> &[u32] {
        &self.sessions[seat.index()].fingerprints
    }

    fn starved(&self, seat: Seat) -> u64 {
        self.sessions[seat.index()].queue.starved()
    }

    fn skipped(&self) -> u64 {
        self.skipped
    }
}

impl<I: Clone + Default> Session<I> {
    fn is_welcome(&self) -> bool {
        self.link.as_ref().is_some_and(ServerLink::is_welcomed)
    }
}

/// Fails like the server for a game that breaks its schema.
pub(super) fn fail(tick: Tick, misfit: &Misfit) -> ! {
    panic!("at tick {}, the game does not keep to its schema: {misfit}", tick.0)
}

fn push(message: &ServerMessage<'_>, out: &mut Vec<Vec<u8>>) {
    let mut frame = Vec::new();
    write_message(message, &mut frame);
    out.push(frame);
}

/// A hash that identifies a frame.
#[must_use]
pub fn fingerprint(frame: &[u8]) -> u32 {
    model_hash(frame)
}
