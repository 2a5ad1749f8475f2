//! The fan-out at the end of a tick: events and snapshots to every connection.
//!
//! Connections of a scene with the same baselines share one encoding; usually those are all of the
//! scene's. A snapshot is *skipped* while earlier bytes wait in the outbox or too many snapshots are in
//! flight: it would arrive late, and the next one replaces it. Events are never skipped.
//!
//! Spectators may see the match *late*, with the snapshots and the game's events of an earlier
//! tick, so that watching does not help players. They share encodings too: there is one more per
//! tick. The ticks in their pongs and paces are as late, so their clocks need no special case. Chat
//! and presence are not delayed.
//!
//! In a steady match nothing here allocates: all buffers are reused.

use std::{collections::VecDeque, ops::Range};

use tickwire_shared::{
    game::{Audience, Game},
    history::History,
    ids::{InputSeq, Seat, Tick},
    link::{Basis, Snapshot, server::write_message},
    rows::Rows,
    schema::Schema,
    time::Micros,
    wire::{Pace, SERVER_FRAME_BYTES_MAX, ServerMessage},
};

use super::{Connection, Context, HalfRate, Match, fail, fail_for, interest::Scene};
use crate::{
    feeds::{FeedEvent, Values},
    socket::{SendError, push_frame},
    telemetry::Stats,
};

/// Every so many ticks a snapshot carries the rows' digest; a full snapshot always does.
const DIGEST_TICKS: u32 = 32;
/// Full snapshots to new clients per match and tick. They share one encoding, but each is as long
/// as twenty deltas, so in a storm of joins the rest waits for the next ticks: a thousand
/// spectators are in within a second, and other clients' snapshots are not delayed.
const FULLS_MAX: usize = 32;
/// Full snapshots to clients that had one before. Counted apart, so that resyncs don't delay joins.
const RESYNCS_MAX: usize = 8;
/// The frames of so many clients are made before they are sent: our code and the kernel's would evict
/// each other from the processor's caches if they took turns at each client. Not more, since a pong
/// states when it was made.
const SENDS: usize = 16;
/// Or fewer, if their frames have so many bytes: full snapshots may be large.
const SENDS_BYTES: usize = 16 * 1024;

/// Buffers that are reused from tick to tick.
pub(super) struct Fanout {
    live: Reliable,
    /// For spectators, if they see the match late.
    late: Reliable,
    late_bodies: Bodies,
    /// By how many ticks.
    late_by: u32,
    /// Frames of the game's events that are still held back from spectators, by tick, oldest first.
    tape: VecDeque<Vec<u8>>,
    owner_values: Vec<i32>,
    owner: Vec<u8>,
    payload: Vec<u8>,
    /// Frames that are ready to be sent, one client's after the other's.
    frames: Vec<u8>,
    /// Whose they are, by key, and where they end.
    ready: Vec<(usize, usize)>,
    failed: Vec<(usize, SendError)>,
}

/// The reliable frames since the last tick, for clients that see the match live, or late.
#[derive(Default)]
struct Reliable {
    /// One after the other.
    frames: Vec<u8>,
    /// The audience of each.
    to: Vec<(Audience, Range<usize>)>,
}

impl Fanout {
    pub(super) fn new(schema: &Schema, late_by: u32) -> Self {
        Self {
            live: Reliable::default(),
            late: Reliable::default(),
            late_bodies: Bodies::default(),
            late_by,
            tape: VecDeque::new(),
            owner_values: vec![0; schema.owner.len()],
            owner: Vec::new(),
            payload: Vec::new(),
            frames: Vec::new(),
            ready: Vec::new(),
            failed: Vec::new(),
        }
    }

    /// Adds a reliable frame for the next tick, whose payload is left in `payload`.
    pub(super) fn push_message(&mut self, audience: Audience, message: &ServerMessage<'_>) {
        self.live.push(audience, message, &mut self.payload);
        if self.late_by > 0 {
            self.late.push(audience, message, &mut self.payload);
        }
    }

    /// Does the same for an event of the game, which late spectators get later.
    fn push_event(&mut self, audience: Audience, message: &ServerMessage<'_>) {
        self.live.push(audience, message, &mut self.payload);
        if audience == Audience::All
            && let Some(newest) = self.tape.back_mut()
        {
            push_frame(&self.payload, newest);
        }
    }

    /// Adds the pace of ticks, as live and late clients see it.
    pub(super) fn push_pace(&mut self, live: Pace, late: Pace) {
        self.live.push(Audience::All, &ServerMessage::Pace(live), &mut self.payload);
        self.late.push(Audience::All, &ServerMessage::Pace(late), &mut self.payload);
    }

    /// How many ticks late spectators see the match.
    pub(super) const fn late_by(&self) -> u32 {
        self.late_by
    }

    /// Whether a client in this seat, or a spectator, sees the match late.
    const fn is_late(&self, seat: Option<Seat>) -> bool {
        seat.is_none() && self.late_by > 0
    }

    fn begin(&mut self) {
        self.late_bodies.begin();
        if self.late_by > 0 {
            let is_full = self.tape.len() == self.late_by as usize;
            let mut events = self.tape.pop_front_if(|_| is_full).unwrap_or_default();
            if !events.is_empty() {
                let start = self.late.frames.len();
                self.late.frames.append(&mut events);
                self.late.to.push((Audience::All, start..self.late.frames.len()));
            }
            self.tape.push_back(events);
        }
    }

    /// Begins the frames of a client in this seat, or a spectator, with the reliable ones.
    fn push_reliable(&mut self, seat: Option<Seat>) {
        let reliable = if self.is_late(seat) { &self.late } else { &self.live };
        for (audience, range) in &reliable.to {
            if audience.includes(seat) {
                self.frames.extend_from_slice(&reliable.frames[range.clone()]);
            }
        }
    }

    fn end(&mut self) {
        for reliable in [&mut self.live, &mut self.late] {
            reliable.frames.clear();
            reliable.to.clear();
        }
    }
}

impl Reliable {
    /// Adds a message, whose payload is left in `payload`.
    fn push(&mut self, audience: Audience, message: &ServerMessage<'_>, payload: &mut Vec<u8>) {
        let start = self.frames.len();
        push_message(message, payload, &mut self.frames);
        self.to.push((audience, start..self.frames.len()));
    }
}

/// Appends a message's frame; its payload is left in `payload`.
pub(super) fn push_message(
    message: &ServerMessage<'_>,
    payload: &mut Vec<u8>,
    frames: &mut Vec<u8>,
) {
    payload.clear();
    write_message(message, payload);
    push_frame(payload, frames);
}

impl<G: Game> Match<G> {
    /// Sends this tick to everyone.
    pub(super) fn fan_out(&mut self, context: &mut Context<'_>) {
        self.fanout.begin();
        self.scenes.iter_mut().for_each(|scene| scene.bodies.begin());
        if let Some(model) = self.encoder.poll_model() {
            self.fanout.push_message(Audience::All, &ServerMessage::Model(model.into()));
        }
        self.queue_events();
        let mut fulls = Fulls { first: FULLS_MAX, resyncs: RESYNCS_MAX };
        let keys = self.connections.capacity();
        // Each tick begins with another one, so that no client always gets its full snapshot first.
        let first = self.tick.0 as usize % keys.max(1);
        for key in (first..keys).chain(0..first) {
            self.write_tick(key, &mut fulls, context);
            if self.fanout.ready.len() == SENDS || self.fanout.frames.len() >= SENDS_BYTES {
                self.send_ready();
            }
        }
        self.send_ready();
        self.fanout.end();
        self.chat.mark_sent();
        // Only after the loop: these ends are announced to all clients with the next tick.
        while let Some((key, error)) = self.fanout.failed.pop() {
            self.end(key, error.into(), context);
        }
    }

    /// Queues this tick's events for clients, for sessions that may resume, and for the feeds.
    fn queue_events(&mut self) {
        for event in self.events.iter() {
            let values = event.values.into();
            let message = ServerMessage::Event { tick: self.tick, kind: event.kind, values };
            self.fanout.push_event(event.audience, &message);
            self.log.push(event.audience, &self.fanout.payload);
            if event.audience == Audience::All {
                let values = Values::new(event.values);
                self.feed.send(Some(self.tick), FeedEvent::Event(event.kind, values));
            }
            for (_, session) in &mut self.sessions {
                // A client of a rewound match may have claimed any number.
                let is_addressed = event.audience.includes(session.seat);
                session.events = session.events.wrapping_add(is_addressed.into());
            }
        }
    }

    /// Sends the frames that are ready, in one write per client.
    fn send_ready(&mut self) {
        let Fanout { frames, ready, failed, .. } = &mut self.fanout;
        let mut start = 0;
        for (key, end) in ready.drain(..) {
            if let Err(error) = self.connections[key].socket.send(&frames[start..end]) {
                failed.push((key, error));
            }
            start = end;
        }
        frames.clear();
    }

    /// Writes one client's part of this tick.
    fn write_tick(&mut self, key: usize, fulls: &mut Fulls, context: &mut Context<'_>) {
        let welcomed = self.connections.get(key).filter(|one| one.session.is_some());
        let Some(seat) = welcomed.map(|connection| connection.seat) else { return };
        if let Some(seat) = seat {
            self.update_sight(key, seat);
        }
        let tick = self.newest_for(seat);
        let (fanout, connection) = (&mut self.fanout, &mut self.connections[key]);
        let before = fanout.frames.len();
        fanout.push_reliable(seat);
        if let Some(ping) = connection.ping.take() {
            let pong = ping.answer(tick, self.tick_due, context.clock.now());
            push_message(&pong, &mut fanout.payload, &mut fanout.frames);
        }
        let (now, stats) = (context.now, &mut *context.stats);
        let basis = connection.link.basis(tick);
        let is_full = basis.ticks().is_empty();
        let fulls_left = fulls.left(connection.link.has_sent());
        if self.scenes[connection.sight.scene].history.rows(tick).is_none() {
            // The match is younger than the spectators' delay.
            connection.sendable_at = now;
        } else if self.half_rate.leaves_out(seat, tick) {
            stats.skipped_overload += 1;
            connection.sendable_at = now;
        } else if is_full && *fulls_left == 0 {
            stats.skipped_storm += 1;
            connection.sendable_at = now;
        } else if may_send(connection, tick, now, stats) {
            connection.sendable_at = now;
            *fulls_left -= usize::from(is_full);
            self.push_snapshot(key, tick, basis, context);
        }
        let end = self.fanout.frames.len();
        if end > before {
            self.fanout.ready.push((key, end));
        }
    }

    /// Adds a snapshot to the frames of one client.
    fn push_snapshot(&mut self, key: usize, tick: Tick, basis: Basis, context: &mut Context<'_>) {
        let Self { fanout, encoder, .. } = self;
        let (connection, stats) = (&mut self.connections[key], &mut *context.stats);
        let (seat, scene) = (connection.seat, connection.sight.scene);
        let processed =
            seat.map_or_else(InputSeq::default, |seat| self.queues[seat.index()].processed());
        fanout.owner.clear();
        if let Some(seat) = seat {
            write_owner(&*self.game, &self.schema, seat, fanout);
        }
        let Scene { history, bodies } = &mut self.scenes[scene];
        let bodies = if fanout.is_late(seat) { &mut fanout.late_bodies } else { bodies };
        let digest = (tick.0.is_multiple_of(DIGEST_TICKS) || basis.ticks().is_empty())
            .then(|| bodies.digest(history, tick));
        let encode = |basis: &[(Tick, &Rows)], rows: &Rows, out: &mut Vec<u8>| {
            let begun = context.clock.now();
            encoder.encode_scene(scene, basis, tick, rows, out);
            stats.encoding = stats.encoding.plus(context.clock.now().since(begun));
            stats.encodings += 1;
        };
        let body = bodies.body(basis, history, tick, encode);
        let snapshot = Snapshot { tick, digest, processed, owner: &fanout.owner, body };
        fanout.payload.clear();
        connection.link.write_snapshot(&snapshot, context.now, &mut fanout.payload);
        let bytes = fanout.payload.len();
        if bytes > SERVER_FRAME_BYTES_MAX {
            fail(format!(
                "a snapshot of the game takes {bytes} bytes; the most is {SERVER_FRAME_BYTES_MAX}: it \
                 needs fewer entities, or fewer or narrower fields"
            ));
        }
        let before = fanout.frames.len();
        push_frame(&fanout.payload, &mut fanout.frames);
        stats.snapshots += 1;
        stats.snapshot_bytes += (fanout.frames.len() - before) as u64;
    }
}

/// How many full snapshots may still be sent with this tick.
struct Fulls {
    first: usize,
    resyncs: usize,
}

impl Fulls {
    /// For clients that had one before, or for new ones.
    const fn left(&mut self, has_sent: bool) -> &mut usize {
        if has_sent { &mut self.resyncs } else { &mut self.first }
    }
}

impl HalfRate {
    /// Whether to skip this snapshot. Ticks with a digest are even, so they are never skipped.
    const fn leaves_out(self, seat: Option<Seat>, tick: Tick) -> bool {
        let is_meant = match self {
            Self::Nobody => false,
            Self::Spectators => seat.is_none(),
            Self::Everybody => true,
        };
        is_meant && tick.0 % 2 == 1
    }
}

/// Whether a snapshot would reach the client without waiting in a queue.
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
    schema
        .pack_owner(seat, &fanout.owner_values, &mut fanout.owner)
        .unwrap_or_else(|misfit| fail_for(&misfit));
}

/// The encodings of one tick of a scene, each made once per basis.
#[derive(Default)]
pub(super) struct Bodies {
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

    /// The body for clients with this basis; `encode` appends it if no client had it before.
    fn body(
        &mut self,
        basis: Basis,
        history: &History,
        tick: Tick,
        encode: impl FnOnce(&[(Tick, &Rows)], &Rows, &mut Vec<u8>),
    ) -> &[u8] {
        if let Some((_, range)) = self.made.iter().find(|(made_from, _)| *made_from == basis) {
            return &self.bytes[range.clone()];
        }
        let start = self.bytes.len();
        let known = basis.with_rows(|tick| rows_of(history, tick));
        encode(&known, rows_of(history, tick), &mut self.bytes);
        self.made.push((basis, start..self.bytes.len()));
        &self.bytes[start..]
    }
}

fn rows_of(history: &History, tick: Tick) -> &Rows {
    history.rows(tick).expect("a link's basis is within history")
}
