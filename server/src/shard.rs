//! A shard: one thread with its matches and their sockets.
//!
//! Everything in a match runs on this thread, so matches need no locks. The front door sends
//! commands through a bounded mailbox; that is the only thread hop in a connection's life.
//!
//! A wake-up costs about as much as a write, so the loop sleeps until a match is due, not until a
//! socket is readable: received bytes wait in the kernel, which timestamps their arrival, until a
//! tick needs them. For the same reason matches tick in bundles, one right after another.

mod guard;
mod handover;

use std::{
    io,
    num::NonZeroU64,
    rc::Rc,
    sync::{
        Arc, Weak,
        mpsc::{Receiver, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::thread::set_current_timer_slack;
use slab::Slab;
use tickwire_shared::{
    close::CloseReason,
    game::{Game, MatchOptions},
    ids::{MatchId, Tick},
    schema::Schema,
    state::StateError,
    time::{Micros, TickRate},
};
use tokio::sync::oneshot;

use crate::{
    clock::{Clock, date},
    deadlines::{Deadline, Deadlines, stagger},
    directory::{Directory, Entry, JoinRefused},
    feeds::{FeedEvent, FeedSender},
    handover::Trial,
    intake::Intake,
    journal::{Journaled, Journals},
    ladder::{Ladder, Step, Work},
    lingering::Lingering,
    mailbox::{Arrival, Command, Recorded, Removal, ShardHandle, ShardStatus},
    matches::{EARLY, HalfRate, Match, MatchSettings, Recording, Role},
    socket::Socket,
    telemetry::Stats,
};
use guard::call;

/// How often a shard polls lingering sockets, and its overload ladder while that is off the ground.
const POLL_INTERVAL: Micros = Micros::from_millis(20);
/// Time span that is recorded before an overrun, and least time between two such recordings.
const RECORDED: Micros = Micros::from_secs(1);
/// How late the kernel may wake a shard up; its default is 50 µs.
const TIMER_SLACK_NANOS: u64 = 1_000;

/// Starts a shard's thread.
pub(crate) fn start<G: Game>(
    index: usize,
    clock: Clock,
    rate: TickRate,
    settings: MatchSettings,
    directory: Arc<Directory>,
    feed: &FeedSender,
    journals: Option<Journals>,
) -> io::Result<(ShardHandle, JoinHandle<()>)> {
    let (handle, commands, status) = ShardHandle::new();
    let feed = feed.clone();
    let run = move || {
        let mut shard = Shard::<G> {
            index,
            clock,
            commands,
            rate,
            settings,
            directory,
            feed,
            journals,
            schema: Rc::new(G::schema()),
            matches: Slab::new(),
            deadlines: Deadlines::default(),
            polled_at: clock.now(),
            lingering: Lingering::default(),
            closed: Vec::new(),
            stats: Stats::default(),
            intake: Intake::new(),
            ladder: Ladder::default(),
            overrun: (Micros(0), Vec::new()),
            status,
            drain_deadline: None,
            trial: Weak::new(),
        };
        if let Err(error) = set_current_timer_slack(NonZeroU64::new(TIMER_SLACK_NANOS)) {
            tracing::warn!(%error, "ticks may be some 50 µs late");
        }
        shard.run();
    };
    let thread = thread::Builder::new().name(format!("shard-{index}")).spawn(run)?;
    Ok((handle, thread))
}

struct Shard<G: Game> {
    index: usize,
    clock: Clock,
    commands: Receiver<Command>,
    rate: TickRate,
    settings: MatchSettings,
    directory: Arc<Directory>,
    /// Publishes events to the feeds.
    feed: FeedSender,
    journals: Option<Journals>,
    schema: Rc<Schema>,
    matches: Slab<Match<G>>,
    deadlines: Deadlines,
    /// When lingering sockets were last polled.
    polled_at: Micros,
    lingering: Lingering,
    /// Sockets that matches have closed, on their way to `lingering`.
    closed: Vec<Socket>,
    stats: Stats,
    intake: Intake,
    ladder: Ladder,
    /// When an overrun was last recorded, and that recording.
    overrun: (Micros, Vec<Recording>),
    status: Arc<ShardStatus>,
    /// The deadline of the drain, once it has begun.
    drain_deadline: Option<Micros>,
    trial: Weak<Trial>,
}

impl<G: Game> Shard<G> {
    /// Runs until the shard has drained, or its mailbox is disconnected.
    fn run(&mut self) {
        while !self.has_drained() {
            let Ok(command) = self.sleep() else { return };
            let now = self.clock.now();
            self.status.set_busy(now);
            self.handle_commands(command, now);
            // Bounded, so that a shard that can't keep up still handles commands.
            for _ in 0..=self.matches.len() {
                let Some(deadline) = self.pop_due() else { break };
                self.run_match(deadline);
            }
            self.linger(now);
            let done = self.clock.now();
            self.stats.busy = self.stats.busy.plus(done.since(now));
            self.relieve(done);
            self.status.set_idle();
        }
        self.status.set_drained();
    }

    /// Waits for a command, or until the next wake-up is due.
    fn sleep(&self) -> Result<Option<Command>, RecvTimeoutError> {
        let Some(wake) = self.next_wake() else {
            return self.commands.recv().map(Some).map_err(|_| RecvTimeoutError::Disconnected);
        };
        let span = Duration::from_micros(wake.since(self.clock.now()).0);
        match self.commands.recv_timeout(span) {
            Ok(command) => Ok(Some(command)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(gone @ RecvTimeoutError::Disconnected) => Err(gone),
        }
    }

    /// When the shard must wake up without a command.
    fn next_wake(&self) -> Option<Micros> {
        let is_settled = self.lingering.is_empty() && self.ladder.step() == Step::Ground;
        let look = (!is_settled).then(|| self.polled_at.plus(POLL_INTERVAL));
        self.deadlines.next().into_iter().chain(look).min()
    }

    /// The next match to run, if one is due.
    fn pop_due(&mut self) -> Option<Deadline> {
        let soon = self.clock.now().plus(EARLY);
        while let Some(next) = self.deadlines.pop(soon) {
            let found = self.matches.get(next.slot).filter(|found| found.id() == next.id);
            match found.map(Match::due) {
                Some(due) if due <= soon => return Some(next),
                // The match's tick interval was stretched since.
                Some(due) => self.deadlines.push(Deadline { due, ..next }),
                None => {}
            }
        }
        None
    }

    fn run_match(&mut self, deadline: Deadline) {
        let Deadline { slot, id, .. } = deadline;
        let (now, overruns) = (self.clock.now(), self.stats.overruns);
        self.status.set_busy(now);
        let end = self.guard(slot, now, |found, context, intake| {
            found.run(intake, context);
            if found.is_over() {
                return Some((CloseReason::MatchOver, "the game is over"));
            }
            let may_end = context.drain_deadline.is_some_and(|by| now >= by || found.may_end());
            may_end.then_some((CloseReason::Drain, "the server drains"))
        });
        if self.stats.overruns > overruns && now.since(self.overrun.0) >= RECORDED {
            self.overrun = (now, self.recordings(now));
            tracing::warn!(match_id = id.0, "a tick is late; GET /v1/overruns shows why");
        }
        let (Some(end), Some(found)) = (end, self.matches.get(slot)) else { return };
        let is_abandoned = || found.is_abandoned(now) && self.directory.remove_if_empty(id);
        let abandoned = (CloseReason::NoMatch, "it was empty for too long");
        let Some((why, because)) = end.or_else(|| is_abandoned().then_some(abandoned)) else {
            return self.deadlines.push(Deadline { due: found.due(), slot, id });
        };
        tracing::info!(match_id = id.0, "match ended: {because}");
        self.end(slot, why, now);
    }

    fn has_drained(&self) -> bool {
        self.drain_deadline.is_some() && self.matches.is_empty() && self.lingering.is_empty()
    }

    fn handle_commands(&mut self, first: Option<Command>, now: Micros) {
        let mut next = first;
        while let Some(command) = next.take().or_else(|| self.commands.try_recv().ok()) {
            match command {
                Command::Open(entry, options) => self.open(entry, options, now),
                Command::Restore(matches, trial) => {
                    self.trial = trial;
                    matches.into_iter().for_each(|restored| self.restore(restored, now));
                }
                Command::Connect(arrival) => self.connect(*arrival, now),
                Command::Notice(only, text) => self.notice(only, &text, now),
                Command::Trace(which, reply) => answer(reply, self.recorded(which)),
                Command::Report(reply) => answer(reply, self.report()),
                Command::Drain { deadline } => {
                    self.drain_deadline = Some(deadline);
                    for (_, found) in &mut self.matches {
                        found.announce_drain(deadline.since(now));
                    }
                }
                Command::Remove(removal, reply) => answer(reply, self.remove(&removal, now)),
                Command::Signal(id, values, reply) => {
                    answer(reply, self.signal(id, &values, now));
                }
                Command::Save(reply) => answer(reply, self.saved(now)),
                Command::HandOver(reply) => answer(reply, self.hand_over(now)),
            }
        }
    }

    /// Sends a notice to the clients of one match, or of all.
    fn notice(&mut self, only: Option<MatchId>, text: &str, now: Micros) {
        for slot in 0..self.matches.capacity() {
            let found = self.matches.get(slot).map(Match::id);
            if found.is_some_and(|id| only.is_none_or(|only| only == id)) {
                self.guard(slot, now, |found, _, _| found.handle_notice(text));
            }
        }
    }

    /// Ends sessions. Returns how many there were.
    fn remove(&mut self, removal: &Removal, now: Micros) -> usize {
        let removed = (0..self.matches.capacity()).filter_map(|slot| {
            self.guard(slot, now, |found, context, _| found.remove(removal, context))
        });
        removed.sum()
    }

    fn open(&mut self, entry: Arc<Entry>, options: MatchOptions, now: Micros) {
        let (id, settings, begun) = (entry.id, self.settings, date());
        let journals = self.journals.clone();
        let made = self.insert(&Arc::clone(&entry), now, |schema, start, feed| {
            let first = (Tick(0), None);
            let game = G::new(&options);
            let game = Journaled::new(game, &options, id, begun, first, journals.as_ref());
            Ok(Match::new(entry, game, options, settings, schema, start, feed))
        });
        if made {
            tracing::info!(match_id = id.0, "match opened");
        } else {
            self.stats.matches_failed += 1;
        }
    }

    /// Adds a match that `make` makes, unless it fails. Returns whether it did not.
    fn insert(
        &mut self,
        entry: &Entry,
        now: Micros,
        make: impl FnOnce(&Rc<Schema>, Micros, FeedSender) -> Result<Match<G>, StateError>,
    ) -> bool {
        let &Entry { id, seats, mode, access, .. } = entry;
        let slot = self.matches.vacant_key();
        let start = stagger(self.rate, seats, slot, now);
        let mut feed = self.feed.of(id);
        feed.send(None, FeedEvent::Opened(mode, access));
        let (schema, match_feed) = (&self.schema, feed.clone());
        let made = call(&self.trial, id, || make(schema, start, match_feed));
        let made = made.map_err(|reason| format!("the game panicked: {reason}"));
        match made.and_then(|made| made.map_err(|error| error.to_string())) {
            Ok(made) => {
                self.matches.insert(made);
                self.deadlines.push(Deadline { due: start, slot, id });
                true
            }
            Err(reason) => {
                tracing::error!(match_id = id.0, reason, "a match could not be made");
                self.directory.remove(id);
                feed.send(None, FeedEvent::Ended(CloseReason::MatchFailed));
                false
            }
        }
    }

    fn connect(&mut self, arrival: Arrival, now: Micros) {
        let Arrival { match_id, newcomer, upgraded, mut leftover } = arrival;
        let mut socket = Socket::new(upgraded);
        let slot = self.slot_of(match_id);
        let may_enter = self.drain_deadline.is_none() || newcomer.role == Role::Resumer;
        let Some(slot) = slot.filter(|_| may_enter) else {
            let reason = match (self.drain_deadline, self.directory.find(match_id)) {
                (Some(_), _) => CloseReason::Drain,
                (None, Err(JoinRefused::MatchOver)) => CloseReason::MatchOver,
                // With a seat reserved, it ends only if its game is over or has failed.
                (None, _) if newcomer.claim.seat.is_some() => CloseReason::MatchFailed,
                (None, _) => CloseReason::NoMatch,
            };
            self.stats.count_closed(reason);
            socket.close(reason);
            self.closed.push(socket);
            return;
        };
        self.guard(slot, now, |found, context, intake| {
            found.accept(socket, newcomer, &mut leftover, intake, context);
        });
    }

    /// Passes a signal to a match's game. Returns whether the match was there.
    fn signal(&mut self, id: MatchId, values: &[i32], now: Micros) -> bool {
        let slot = self.slot_of(id);
        slot.and_then(|slot| self.guard(slot, now, |found, _, _| found.signal(values))).is_some()
    }

    fn slot_of(&self, id: MatchId) -> Option<usize> {
        self.matches.iter().find_map(|(slot, found)| (found.id() == id).then_some(slot))
    }

    /// Applies the overload ladder's step to all matches.
    fn relieve(&mut self, now: Micros) {
        let Stats { ticks, overruns, late, busy, .. } = self.stats;
        let before = self.ladder.step();
        let Some(step) = self.ladder.check(Work { ticks, overruns, late, busy }, now) else {
            return;
        };
        if step != before {
            let told = if step == Step::Ground {
                "the shard keeps up again, and sheds no load"
            } else {
                "the shard does not keep up, and sheds load: GET /v1/overruns shows why"
            };
            tracing::warn!(shard = self.index, step = step.name(), "{told}");
            self.status.set_overloaded(step == Step::Matches);
            self.stats.step = step as u64;
            *self.stats.steps.entry(step.name()).or_default() += 1;
        } else if step == Step::Ground {
            return;
        }
        let connections: usize =
            self.matches.iter().map(|(_, found)| found.connections_len()).sum();
        let mean = connections / self.matches.len().max(1);
        for (_, found) in &mut self.matches {
            let half_rate = match step {
                Step::Ground => HalfRate::Nobody,
                Step::Snapshots | Step::Ticks | Step::Matches
                    if found.connections_len() >= mean =>
                {
                    HalfRate::Everybody
                }
                Step::Spectators | Step::Snapshots | Step::Ticks | Step::Matches => {
                    HalfRate::Spectators
                }
            };
            found.relieve(half_rate, step.slowdown());
        }
    }

    /// Lets closed sockets linger, and polls those that do.
    fn linger(&mut self, now: Micros) {
        for socket in self.closed.drain(..) {
            self.lingering.insert(socket, now);
        }
        if now.since(self.polled_at) >= POLL_INTERVAL {
            self.polled_at = now;
            self.lingering.poll(&mut self.intake, now);
        }
    }

    /// The recordings of all matches for the last second.
    fn recordings(&self, now: Micros) -> Vec<Recording> {
        let since = now.since(RECORDED);
        self.matches.iter().map(|(_, found)| found.recording(since)).collect()
    }

    fn recorded(&self, which: Recorded) -> Vec<Recording> {
        match which {
            Recorded::Overrun => self.overrun.1.clone(),
            Recorded::Match(id) => {
                let found = self.matches.iter().filter(|(_, found)| found.id() == id);
                found.map(|(_, found)| found.recording(Micros(0))).collect()
            }
        }
    }

    fn report(&self) -> Stats {
        let connections = self.matches.iter().map(|(_, found)| found.connections_len() as u64);
        let mut stats = self.stats.clone();
        stats.matches = self.matches.len() as u64;
        stats.connections = connections.sum();
        for (_, found) in &self.matches {
            found.account(&mut stats);
            stats.spectators.insert(found.id().0, found.spectators_len());
        }
        stats
    }
}

/// Answers a command, unless whoever waits for that has given up.
fn answer<T>(reply: oneshot::Sender<T>, answer: T) {
    let _ = reply.send(answer);
}
