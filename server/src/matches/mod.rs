//! A match: its game, its seats, its connections, and the tick that ties them together.
//!
//! A match lives on one shard's thread with its sockets, so nothing here is locked or sent to other
//! threads. The links validate what clients send; a fault of the game is a panic, and the shard
//! ends only this match for it.

mod connections;
mod fanout;
mod hello;
mod interest;
mod participants;
mod people;
mod recorder;
mod removal;
mod saved;
mod schedule;
#[cfg(test)]
mod simulated;

use std::{panic::resume_unwind, rc::Rc, sync::Arc};

use slab::Slab;
use tickwire_shared::{
    codec::Encoder,
    game::{Audience, Events, Game, MatchOptions, Step},
    ids::{MatchId, Seat, Tick},
    link::{EventLog, InputQueue},
    misfit::Misfit,
    replica::Rewind,
    schema::Schema,
    time::{Micros, Moment},
    wire::{Pace, ServerMessage, schema_hash},
};

use crate::{
    bucket::Rate,
    clock::Clock,
    config::Config,
    directory::Entry,
    feeds::{FeedSender, PresenceChange},
    handover::MatchState,
    intake::Intake,
    journal::Journaled,
    limits::Limits,
    socket::{SendError, Socket},
    telemetry::Stats,
};
pub(crate) use connections::Newcomer;
use fanout::{Fanout, push_message};
use interest::{ALL, Scene};
pub(crate) use participants::{Claim, Role};
use participants::{Connection, Ping, Session, SessionState};
use people::ChatLog;
pub(crate) use recorder::Recording;
use recorder::{Recorder, TickTimes};
pub(crate) use saved::SavedMatch;
use schedule::{Begun, Schedule};

/// A match that is due within this time runs now, to save a wake-up.
pub(crate) const EARLY: Micros = Micros(250);
/// Sockets are read when a tick is due, and at least this often at low tick rates.
const READ_INTERVAL_MAX: Micros = Micros::from_millis(50);

/// A match is saved for the next server every so many seconds.
const SAVE_EVERY_S: u32 = 3;

/// What a shard lends a match for one call.
pub(crate) struct Context<'a> {
    /// When the call was made.
    pub(crate) now: Micros,
    pub(crate) clock: Clock,
    /// The deadline of the drain, once it has begun.
    pub(crate) drain_deadline: Option<Micros>,
    pub(crate) stats: &'a mut Stats,
    /// Sockets that were sent their close frame; the shard lets them linger.
    pub(crate) closed: &'a mut Vec<Socket>,
}

/// The settings that matches need.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MatchSettings {
    /// How long the seat of a lost connection is kept.
    pub(crate) resume_grace: Micros,
    /// How long an empty match keeps running.
    pub(crate) empty_timeout: Micros,
    /// How much later than players spectators see the game.
    spectator_delay: Micros,
    hello_timeout: Micros,
    idle_timeout: Micros,
    stall_timeout: Micros,
    messages: Rate,
    /// Whether it is saved every few seconds.
    is_saved: bool,
}

impl MatchSettings {
    pub(crate) fn new(config: &Config) -> Self {
        let limits: &Limits = &config.limits;
        Self {
            resume_grace: config.resume_grace.into(),
            empty_timeout: config.match_idle.into(),
            spectator_delay: config.spectator_delay.into(),
            hello_timeout: limits.hello_timeout.into(),
            idle_timeout: limits.idle_timeout.into(),
            stall_timeout: limits.stall_timeout.into(),
            messages: limits.messages(),
            is_saved: config.handover_file.is_some(),
        }
    }
}

/// See the module.
pub(crate) struct Match<G: Game> {
    entry: Arc<Entry>,
    options: MatchOptions,
    settings: MatchSettings,
    game: Journaled<G>,
    schema: Rc<Schema>,
    schema_hash: u32,
    /// The rate limit counts every so many received bytes as one more message.
    bytes_per_message: usize,
    feed: FeedSender,
    /// The scores that the feeds have, by seat.
    scores: Vec<i32>,
    schedule: Schedule,
    tick: Tick,
    /// Which clients get only every other snapshot while the shard can't keep up.
    half_rate: HalfRate,
    /// The slowdown that clients were last notified of.
    slowdown_sent: u8,
    /// When the newest tick was due.
    tick_due: Micros,
    /// When the sockets were last read, and how many rounds of reads there were.
    read_at: Micros,
    reads: usize,
    recorder: Recorder,
    queues: Vec<InputQueue<G::Input>>,
    inputs: Vec<G::Input>,
    /// The moments that players saw when they made these inputs.
    seen: Vec<Option<Moment>>,
    input_values: Vec<i32>,
    events: Events,
    log: EventLog,
    chat: ChatLog,
    scenes: Vec<Scene>,
    encoder: Encoder,
    fanout: Fanout,
    connections: Slab<Connection>,
    sessions: Slab<Session>,
    /// As it was last saved for the next server.
    saved: Option<MatchState>,
    empty_since: Option<Micros>,
}

/// Which clients' snapshots of odd ticks are skipped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum HalfRate {
    Nobody,
    Spectators,
    Everybody,
}

impl<G: Game> Match<G> {
    /// A match of this game before its first tick, which is due at `start`.
    pub(crate) fn new(
        entry: Arc<Entry>,
        game: Journaled<G>,
        options: MatchOptions,
        settings: MatchSettings,
        schema: &Rc<Schema>,
        start: Micros,
        feed: FeedSender,
    ) -> Self {
        let seats = usize::from(options.seats);
        let late_by = options.tick_rate.ticks_in(settings.spectator_delay);
        Self {
            entry,
            game,
            schema: Rc::clone(schema),
            schema_hash: schema_hash(schema),
            bytes_per_message: connections::bytes_per_message(schema),
            feed,
            scores: vec![0; seats * G::SCORES.len()],
            schedule: Schedule::new(options.tick_rate, start),
            tick: Tick(0),
            half_rate: HalfRate::Nobody,
            slowdown_sent: 1,
            tick_due: start,
            read_at: start,
            reads: 0,
            recorder: Recorder::default(),
            queues: (0..seats).map(|_| InputQueue::default()).collect(),
            inputs: vec![G::Input::default(); seats],
            seen: vec![None; seats],
            input_values: vec![0; schema.input.len()],
            events: Events::default(),
            log: EventLog::default(),
            chat: ChatLog::default(),
            scenes: vec![Scene::keeping(late_by)],
            encoder: Encoder::new(schema, options.tick_rate),
            fanout: Fanout::new(schema, late_by),
            connections: Slab::new(),
            sessions: Slab::new(),
            saved: None,
            empty_since: Some(start),
            options,
            settings,
        }
    }

    pub(crate) fn id(&self) -> MatchId {
        self.entry.id
    }

    /// When [`Self::run`] is to be called next.
    pub(crate) fn due(&self) -> Micros {
        self.schedule.due().min(self.read_at.plus(READ_INTERVAL_MAX))
    }

    /// The recorded phases of the last ticks that ended after `since`.
    pub(crate) fn recording(&self, since: Micros) -> Recording {
        self.recorder.recording(self.entry.id, since)
    }

    /// Number of open connections.
    pub(crate) fn connections_len(&self) -> usize {
        self.connections.len()
    }

    /// Number of spectators' connections.
    pub(crate) fn spectators_len(&self) -> u32 {
        let watches = |connection: &Connection| connection.role == Role::Spectator;
        self.connections.iter().filter(|(_, connection)| watches(connection)).count() as u32
    }

    /// Adds the match's own counters: inputs, and the bits of its encodings.
    pub(crate) fn account(&self, stats: &mut Stats) {
        for queue in &self.queues {
            stats.inputs_dropped += queue.dropped();
            stats.inputs_starved += queue.starved();
        }
        stats.add_costs(&self.schema, self.encoder.costs());
    }

    /// Whether the match has been empty for longer than the timeout.
    pub(crate) fn is_abandoned(&self, now: Micros) -> bool {
        self.empty_since.is_some_and(|since| now.since(since) > self.settings.empty_timeout)
    }

    /// Sets, from the next tick on, which clients get only every other snapshot, and the factor by
    /// which the tick interval is stretched.
    pub(crate) fn relieve(&mut self, half_rate: HalfRate, slowdown: u8) {
        self.half_rate = half_rate;
        if slowdown != self.schedule.slowdown() {
            self.schedule.set_slowdown(slowdown);
        }
    }

    /// Notifies all clients, with the next tick, that the server ends within this time.
    pub(crate) fn announce_drain(&mut self, within: Micros) {
        self.fanout.push_message(Audience::All, &ServerMessage::Leaving { within });
    }

    /// Whether it has been played to its end.
    pub(crate) fn is_over(&self) -> bool {
        self.game.is_over()
    }

    /// Whether the match may end now: it has no session, resumable ones included, or the game
    /// allows it.
    pub(crate) fn may_end(&self) -> bool {
        (self.connections.is_empty() && self.sessions.is_empty()) || self.game.may_end()
    }

    /// The pace of ticks, for clients whose newest tick is `tick`.
    const fn pace(&self, tick: Tick) -> Pace {
        Pace { slowdown: self.slowdown_sent, tick, tick_time: self.tick_due }
    }

    /// The newest tick that spectators see.
    const fn late_tick(&self) -> Tick {
        self.tick.minus(self.fanout.late_by())
    }

    /// The newest tick that a client in this seat, or a spectator, sees.
    const fn newest_for(&self, seat: Option<Seat>) -> Tick {
        if seat.is_some() { self.tick } else { self.late_tick() }
    }

    /// Reads the sockets, and runs a tick if one is due.
    pub(crate) fn run(&mut self, intake: &mut Intake, context: &mut Context<'_>) {
        self.read_sockets(intake, context);
        if self.schedule.due() <= context.now.plus(EARLY) {
            self.tick(context);
        }
    }

    /// One tick: inputs, step, rows, snapshots.
    fn tick(&mut self, context: &mut Context<'_>) {
        let step = context.clock.now();
        let begun = self.schedule.begin(context.now);
        self.tick = self.tick.plus(1);
        self.tick_due = begun.due.plus(begun.slipped);
        self.step();
        let rows = context.clock.now();
        self.write_rows();
        let has_stood = begun.slipped >= self.schedule.interval();
        if has_stood || self.slowdown_sent != self.schedule.slowdown() {
            self.slowdown_sent = self.schedule.slowdown();
            let (live, late) = (self.pace(self.tick), self.pace(self.late_tick()));
            self.fanout.push_pace(live, late);
        }
        let (write, encoded) = (context.clock.now(), context.stats.encoding);
        self.fan_out(context);
        self.publish_scores();
        self.remove_players(context);
        self.entry.set_admits(self.game.admits());
        let times = TickTimes {
            tick: self.tick,
            due: begun.due,
            inputs: context.now,
            step,
            rows,
            write,
            encoding: context.stats.encoding.since(encoded),
            end: context.clock.now(),
        };
        self.account_tick(times, begun, context.stats);
        if self.tick.0.is_multiple_of(u32::from(self.options.tick_rate.hz())) {
            self.sweep(context);
        }
    }

    /// The game's step, with the inputs that are due.
    fn step(&mut self) {
        let inputs = self.inputs.iter_mut().zip(&mut self.seen);
        for (queue, (input, seen)) in self.queues.iter_mut().zip(inputs) {
            input.clone_from(queue.take(self.tick));
            *seen = queue.seen();
        }
        self.events.clear();
        let (history, rate) = (&self.scenes[ALL].history, self.options.tick_rate);
        let mut step = Step {
            tick: self.tick,
            inputs: &self.inputs,
            past: Rewind::new(history, &self.seen, self.tick, rate),
            events: &mut self.events,
        };
        self.game.step(&mut step, &self.seen);
    }

    /// The game's rows. Fails the match if they, or the step's events, don't fit the schema.
    fn write_rows(&mut self) {
        let written = self.scenes[ALL].history.push(self.tick);
        self.game.write_rows(written);
        let fits =
            self.schema.check_rows(written).and_then(|()| self.schema.check_events(&self.events));
        fits.unwrap_or_else(|misfit| fail_for(&misfit));
    }

    fn account_tick(&mut self, times: TickTimes, begun: Begun, stats: &mut Stats) {
        let interval = self.schedule.interval();
        stats.ticks += 1;
        stats.overruns += u64::from(begun.lateness >= interval);
        stats.late += u64::from(begun.lateness.0 * 4 >= interval.0);
        stats.slipped = stats.slipped.plus(begun.slipped);
        stats.tick_lateness.record(begun.lateness);
        stats.tick_time.record(times.end.since(times.inputs));
        stats.tick_to_wire.record(times.end.since(times.due));
        self.recorder.keep(times);
    }

    /// Passes an operator's signal to the game.
    pub(crate) fn signal(&mut self, values: &[i32]) {
        self.game.signal(values);
    }

    /// Once a second: writes the journal, closes silent and stalled connections, ends sessions whose
    /// grace period is over, and now and then saves the match.
    fn sweep(&mut self, context: &mut Context<'_>) {
        let now = context.now;
        let settings = self.settings;
        let rows = self.scenes[ALL].history.rows(self.tick);
        let is_lost = rows.is_some_and(|rows| self.game.write_journal(rows));
        context.stats.journals_lost += u64::from(is_lost);
        let dead = |(key, connection): (usize, &Connection)| {
            Some((key, connection.fault(&settings, now)?))
        };
        let dead: Vec<_> = self.connections.iter().filter_map(dead).collect();
        for (key, reason) in dead {
            self.close(key, reason, context);
        }
        let grace = self.settings.resume_grace;
        let is_over = |session: &Session| match session.state {
            SessionState::Connected(_) => false,
            SessionState::Away { since, .. } => now.since(since) > grace,
        };
        let over: Vec<_> =
            self.sessions.iter().filter(|(_, s)| is_over(s)).map(|(key, _)| key).collect();
        for key in over {
            self.forget(key);
        }
        let second = self.tick.0 / u32::from(self.options.tick_rate.hz());
        if settings.is_saved && second.wrapping_add(self.entry.id.0).is_multiple_of(SAVE_EVERY_S) {
            match self.save(false) {
                Ok(saved) => self.saved = Some(saved),
                Err(error) => tracing::error!(match_id = self.entry.id.0, %error, "not saved"),
            }
        }
        if !self.sessions.is_empty() || !self.connections.is_empty() {
            self.empty_since = None;
        } else if self.empty_since.is_none() {
            self.empty_since = Some(now);
        }
    }

    /// Ends a session for good, and frees its seat.
    fn forget(&mut self, session: usize) {
        self.announce_presence(session, PresenceChange::Leave);
        let session = self.sessions.remove(session);
        if let Some(seat) = session.seat {
            self.queues[seat.index()].vacate();
            self.game.leave(seat);
        }
        tracing::debug!(match_id = self.entry.id.0, session = session.id.0, "session over");
    }

    /// Sends one message at once, without waiting for the next tick.
    fn send_now(&mut self, key: usize, message: &ServerMessage<'_>) -> Result<(), SendError> {
        let (mut payload, mut frame) = (Vec::new(), Vec::new());
        push_message(message, &mut payload, &mut frame);
        self.connections[key].socket.send(&frame)
    }
}

/// Fails a match whose game does not keep to its schema.
fn fail_for(misfit: &Misfit) -> ! {
    fail(format!("the game does not keep to its schema: {misfit}"))
}

/// Fails a match, as if its game had panicked. Panic hooks are not called: a backtrace from here
/// would not show the game, and would take so long that other matches' ticks are late.
fn fail(reason: String) -> ! {
    resume_unwind(Box::new(reason))
}

impl<G: Game> std::fmt::Debug for Match<G> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Match")
            .field("id", &self.entry.id)
            .field("tick", &self.tick)
            .finish_non_exhaustive()
    }
}
