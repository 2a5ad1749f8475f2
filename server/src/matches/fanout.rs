//! The end of a tick: events and snapshots to every connection.
//!
//! Connections that were sent the same snapshots before share one encoding; usually that is all of
//! them. A snapshot is left out (*skipped*) while earlier bytes wait or too many are on their way:
//! it would only arrive late, and a later one says more. Events are never left out.
//!
//! In a steady match nothing here allocates: all buffers are kept.

use std::ops::Range;

use tickwire_shared::{
    codec::{BASIS_MAX, Encoder},
    game::{Audience, Game},
    history::History,
    ids::{InputSeq, Seat, Tick},
    link::{Basis, Snapshot, integers, server::write_message},
    rows::Rows,
    schema::Schema,
    time::Micros,
    wire::ServerMessage,
};

use super::{Connection, Context, Halves, Match};
use crate::{
    feeds::{Happening, Values},
    socket::{SendError, push_frame},
    telemetry::Stats,
};

/// Every so many ticks a snapshot carries the rows' digest; a full one always does.
const DIGEST_TICKS: u32 = 32;
/// Full snapshots that a match sends with one tick. They are encoded once, but each is as long as
/// twenty deltas, so in a storm of joins the rest waits for the ticks that follow: a thousand
/// spectators are in within a second, and those who were there before notice nothing.
const FULLS_MAX: usize = 32;

/// Buffers that are kept from tick to tick.
pub(super) struct Fanout {
    bodies: Bodies,
    /// Reliable frames since the last tick, one after the other, and who gets each.
    reliable: Vec<u8>,
    reliable_to: Vec<(Audience, Range<usize>)>,
    owner_values: Vec<i32>,
    owner: Vec<u8>,
    payload: Vec<u8>,
    frames: Vec<u8>,
    failed: Vec<(usize, SendError)>,
}

impl Fanout {
    pub(super) fn new(schema: &Schema) -> Self {
        Self {
            bodies: Bodies::default(),
            reliable: Vec::new(),
            reliable_to: Vec::new(),
            owner_values: vec![0; schema.owner.len()],
            owner: Vec::new(),
            payload: Vec::new(),
            frames: Vec::new(),
            failed: Vec::new(),
        }
    }

    /// Adds a reliable frame for the next tick, whose payload is left in `payload`.
    pub(super) fn push_message(&mut self, audience: Audience, message: &ServerMessage<'_>) {
        self.payload.clear();
        write_message(message, &mut self.payload);
        let start = self.reliable.len();
        push_frame(&self.payload, &mut self.reliable);
        self.reliable_to.push((audience, start..self.reliable.len()));
    }
}

impl<G: Game> Match<G> {
    /// Sends this tick to everyone.
    pub(super) fn fan_out(&mut self, context: &mut Context<'_>) {
        let Self { fanout, events, log, talk, encoder, history, connections, .. } = self;
        let (sessions, queues) = (&mut self.sessions, &self.queues);
        let (tick, now, stats) = (self.tick, context.now, &mut *context.stats);
        fanout.bodies.begin();
        if let Some(model) = encoder.poll_model() {
            fanout.push_message(Audience::All, &ServerMessage::Model(model.into()));
        }
        for event in events.iter() {
            let message =
                ServerMessage::Event { tick, kind: event.kind, values: event.values.into() };
            fanout.push_message(event.audience, &message);
            log.push(event.audience, &fanout.payload);
            if event.audience == Audience::All {
                let values = Values::new(event.values);
                self.teller.tell(Some(tick), Happening::Event(event.kind, values));
            }
            for (_, session) in sessions.iter_mut() {
                session.events += u32::from(event.audience.includes(session.seat));
            }
        }
        let mut fulls = 0;
        for (key, connection) in connections {
            let Some(session) = connection.session else { continue };
            let seat = sessions[session].seat;
            fanout.frames.clear();
            for (audience, range) in &fanout.reliable_to {
                if audience.includes(seat) {
                    fanout.frames.extend_from_slice(&fanout.reliable[range.clone()]);
                }
            }
            let basis = connection.link.basis(tick);
            let is_full = basis.ticks().is_empty();
            if self.relief.halves.includes(seat, tick) {
                stats.skipped_relief += 1;
            } else if is_full && fulls == FULLS_MAX {
                stats.skipped_storm += 1;
            } else if may_send(connection, tick, now, stats) {
                connection.took_at = now;
                fulls += usize::from(is_full);
                let processed =
                    seat.map_or_else(InputSeq::default, |seat| queues[seat.index()].processed());
                fanout.owner.clear();
                if let Some(seat) = seat {
                    write_owner(&self.game, &self.schema, seat, fanout);
                }
                let digest = (tick.0.is_multiple_of(DIGEST_TICKS) || is_full)
                    .then(|| fanout.bodies.digest(history, tick));
                let body = fanout.bodies.body(basis, encoder, history, tick, stats);
                let snapshot = Snapshot { tick, digest, processed, owner: &fanout.owner, body };
                fanout.payload.clear();
                connection.link.write_snapshot(&snapshot, context.now, &mut fanout.payload);
                let before = fanout.frames.len();
                push_frame(&fanout.payload, &mut fanout.frames);
                stats.snapshots += 1;
                stats.snapshot_bytes += (fanout.frames.len() - before) as u64;
            }
            if !fanout.frames.is_empty()
                && let Err(error) = connection.socket.send(&fanout.frames)
            {
                fanout.failed.push((key, error));
            }
        }
        fanout.reliable.clear();
        fanout.reliable_to.clear();
        talk.tell();
        while let Some((key, error)) = self.fanout.failed.pop() {
            self.fail(key, error, context);
        }
    }
}

impl Halves {
    /// Whether this snapshot is one to be left out. Ticks with a digest are even.
    const fn includes(self, seat: Option<Seat>, tick: Tick) -> bool {
        let includes = match self {
            Self::Nobody => false,
            Self::Spectators => seat.is_none(),
            Self::Everybody => true,
        };
        includes && tick.0 % 2 == 1
    }
}

/// Whether a snapshot would reach the client without having to wait.
fn may_send(connection: &Connection, tick: Tick, now: Micros, stats: &mut Stats) -> bool {
    let is_flushed = connection.socket.is_flushed();
    let has_credit = connection.link.has_credit(tick, now);
    stats.skipped_unflushed += u64::from(!is_flushed);
    stats.skipped_credit += u64::from(is_flushed && !has_credit);
    is_flushed && has_credit
}

fn write_owner<G: Game>(game: &G, schema: &Schema, seat: Seat, fanout: &mut Fanout) {
    for (value, integer) in fanout.owner_values.iter_mut().zip(&schema.owner) {
        *value = integer.min;
    }
    game.write_owner(seat, &mut fanout.owner_values);
    integers::pack(&schema.owner, &fanout.owner_values, &mut fanout.owner);
}

/// The encodings of one tick, each made once.
#[derive(Default)]
struct Bodies {
    bytes: Vec<u8>,
    made: Vec<(Basis, Range<usize>)>,
    digest: Option<u32>,
}

impl Bodies {
    fn begin(&mut self) {
        self.bytes.clear();
        self.made.clear();
        self.digest = None;
    }

    fn digest(&mut self, history: &History, tick: Tick) -> u32 {
        *self.digest.get_or_insert_with(|| rows_of(history, tick).digest())
    }

    fn body(
        &mut self,
        basis: Basis,
        encoder: &mut Encoder,
        history: &History,
        tick: Tick,
        stats: &mut Stats,
    ) -> &[u8] {
        if let Some((_, range)) = self.made.iter().find(|(made_from, _)| *made_from == basis) {
            return &self.bytes[range.clone()];
        }
        let rows = rows_of(history, tick);
        let mut both = [(tick, rows); BASIS_MAX];
        for (place, &tick) in both.iter_mut().zip(basis.ticks()) {
            *place = (tick, rows_of(history, tick));
        }
        let start = self.bytes.len();
        encoder.encode(&both[..basis.ticks().len()], tick, rows, &mut self.bytes);
        self.made.push((basis, start..self.bytes.len()));
        stats.encodings += 1;
        &self.bytes[start..]
    }
}

fn rows_of(history: &History, tick: Tick) -> &Rows {
    history.rows(tick).expect("a link's basis is within history")
}
