//! A shard: one thread and one event loop with its matches, their sockets and their timer.
//!
//! Everything that happens in a match happens here, so matches need no locks. The front door sends
//! commands through a bounded mailbox; that is the only thread hop in a connection's life.

use std::{
    io,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use mio::{Events, Interest, Poll, Token, Waker, event::Event, unix::SourceFd};
use slab::Slab;
use tickwire_shared::{
    close::CloseReason,
    game::{Game, MatchOptions},
    ids::MatchId,
    schema::Schema,
    time::{Micros, TickRate},
};
use tokio::sync::oneshot;

use crate::{
    clock::{Clock, Timer},
    directory::Directory,
    feeds::{Happening, Teller},
    ladder::{Ladder, Step, Work},
    lingering::Lingering,
    matches::{Context, Halves, Manners, Match, Newcomer, Relief, Until},
    socket::{Handed, Socket},
    telemetry::Stats,
};

/// Commands that may wait for a shard. More are refused: the shard does not keep up.
const MAILBOX_MAX: usize = 4096;
/// Bytes that one read takes in at most; more than all that a client may have on its way.
const READ_BUFFER_BYTES: usize = 64 * 1024;
/// Readiness events taken in at once.
const EVENTS_MAX: usize = 1024;

const TIMER: Token = Token(usize::MAX);
const MAILBOX: Token = Token(usize::MAX - 1);
const READ_WRITE: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// What the front door asks of a shard.
#[derive(Debug)]
pub(crate) enum Command {
    /// Run a new match.
    Open(MatchId, MatchOptions),
    /// Take over a connection whose WebSocket handshake is done.
    Connect(Box<Arrival>),
    /// Have one match, or all, tell an operator's notice.
    Notice(Option<MatchId>, Arc<str>),
    /// Tell what was counted.
    Report(oneshot::Sender<Stats>),
    /// Take nobody in, end each match when it may or by the deadline, and then end.
    Drain { deadline: Micros },
}

/// A connection on its way to its match.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) match_id: MatchId,
    pub(crate) newcomer: Newcomer,
    pub(crate) handed: Handed,
    /// What the client sent right behind its handshake.
    pub(crate) leftover: Vec<u8>,
}

/// The front door's end of a shard.
#[derive(Debug)]
pub(crate) struct ShardHandle {
    /// Set by the shard while no match may be added.
    is_overloaded: Arc<AtomicBool>,
    mailbox: SyncSender<Command>,
    waker: Arc<Waker>,
}

impl ShardHandle {
    /// Whether the shard is so far behind that no match may be added.
    pub(crate) fn is_overloaded(&self) -> bool {
        self.is_overloaded.load(Ordering::Relaxed)
    }

    /// Hands over a command. It comes back when the shard does not keep up or has ended.
    pub(crate) fn send(&self, command: Command) -> Result<(), Command> {
        self.mailbox.try_send(command).map_err(|error| match error {
            TrySendError::Full(command) | TrySendError::Disconnected(command) => command,
        })?;
        // The mailbox was filled; a waker that fails is only woken later, by the next event.
        let _ = self.waker.wake();
        Ok(())
    }
}

/// Starts a shard's thread.
pub(crate) fn start<G: Game>(
    index: usize,
    clock: Clock,
    rate: TickRate,
    manners: Manners,
    directory: Arc<Directory>,
    teller: &Teller,
) -> io::Result<(ShardHandle, JoinHandle<()>)> {
    let poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), MAILBOX)?);
    let timer = Timer::new(clock)?;
    poll.registry().register(&mut SourceFd(&timer.fd()), TIMER, Interest::READABLE)?;
    let (mailbox, commands) = sync_channel(MAILBOX_MAX);
    let is_overloaded = Arc::new(AtomicBool::new(false));
    let told_overloaded = Arc::clone(&is_overloaded);
    let teller = teller.clone();
    let run = move || {
        let mut shard = Shard::<G> {
            poll,
            timer,
            clock,
            commands,
            rate,
            manners,
            directory,
            teller,
            schema: Rc::new(G::schema()),
            matches: Slab::new(),
            opened: 0,
            next_due: None,
            lingering: Lingering::default(),
            closed: Vec::new(),
            stats: Stats::default(),
            buffer: vec![0; READ_BUFFER_BYTES].into(),
            ladder: Ladder::default(),
            is_overloaded: told_overloaded,
            leaves_by: None,
        };
        if let Err(error) = shard.run() {
            tracing::error!(shard = index, %error, "the shard's event loop failed");
        }
    };
    let thread = std::thread::Builder::new().name(format!("shard-{index}")).spawn(run)?;
    Ok((ShardHandle { is_overloaded, mailbox, waker }, thread))
}

struct Shard<G: Game> {
    poll: Poll,
    timer: Timer,
    clock: Clock,
    commands: Receiver<Command>,
    rate: TickRate,
    manners: Manners,
    directory: Arc<Directory>,
    /// Tells followers what happens.
    teller: Teller,
    schema: Rc<Schema>,
    matches: Slab<Match<G>>,
    /// Matches ever opened here, from which their stagger follows.
    opened: u32,
    /// The earliest deadline of a match.
    next_due: Option<Micros>,
    lingering: Lingering,
    /// Sockets that matches are done with, until they linger.
    closed: Vec<Socket>,
    stats: Stats,
    buffer: Box<[u8]>,
    ladder: Ladder,
    is_overloaded: Arc<AtomicBool>,
    /// Set while it drains.
    leaves_by: Option<Micros>,
}

impl<G: Game> Shard<G> {
    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        while !self.has_drained() {
            self.timer.arm(self.next_due)?;
            let is_settled = self.lingering.is_empty() && self.ladder.step() == Step::Ground;
            let timeout = (!is_settled).then_some(Duration::from_millis(100));
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            let now = self.clock.now();
            for event in &events {
                match event.token() {
                    TIMER => {}
                    MAILBOX => self.handle_commands(now),
                    _ => self.handle_ready(event, now),
                }
            }
            self.run_due();
            self.linger(now);
            let done = self.clock.now();
            self.stats.busy = self.stats.busy.plus(done.since(now));
            self.relieve(done);
        }
        Ok(())
    }

    fn has_drained(&self) -> bool {
        self.leaves_by.is_some() && self.matches.is_empty() && self.lingering.is_empty()
    }

    fn handle_commands(&mut self, now: Micros) {
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Open(id, options) => self.open(id, options, now),
                Command::Connect(arrival) => self.connect(*arrival, now),
                Command::Notice(only, text) => {
                    for slot in self.slots() {
                        let found = self.matches.get(slot).map(Match::id);
                        if found.is_some_and(|id| only.is_none_or(|only| only == id)) {
                            self.guard(slot, now, |m, context, _| m.hear_notice(&text, context));
                        }
                    }
                }
                Command::Report(reply) => {
                    // Who asked may have given up waiting.
                    let _ = reply.send(self.report());
                }
                Command::Drain { deadline } => {
                    self.leaves_by = Some(deadline);
                    for (_, found) in &mut self.matches {
                        found.tell_leaving(deadline.since(now));
                    }
                }
            }
        }
    }

    fn open(&mut self, id: MatchId, options: MatchOptions, now: Micros) {
        let start = stagger(self.rate, self.opened, now);
        self.opened = self.opened.wrapping_add(1);
        let (schema, manners) = (&self.schema, self.manners);
        let mut teller = self.teller.of(id);
        let told = teller.clone();
        let made = catch_unwind(|| Match::new(id, options, manners, schema, start, told));
        let Ok(made) = made else {
            self.stats.matches_failed += 1;
            tracing::error!(match_id = id.0, "the game panicked when its match was made");
            return self.directory.remove(id);
        };
        self.next_due = Some(self.next_due.map_or(start, |due| due.min(start)));
        self.matches.insert(made);
        teller.tell(None, Happening::Opened);
        tracing::info!(match_id = id.0, "match opened");
    }

    fn connect(&mut self, arrival: Arrival, now: Micros) {
        let Arrival { match_id, newcomer, handed, mut leftover } = arrival;
        let mut socket = Socket::new(handed);
        let slot = self.matches.iter().find_map(|(slot, m)| (m.id() == match_id).then_some(slot));
        let Some(slot) = slot.filter(|_| self.leaves_by.is_none()) else {
            let is_draining = self.leaves_by.is_some();
            let reason = if is_draining { CloseReason::Drain } else { CloseReason::NoMatch };
            self.stats.count_closed(reason);
            socket.close(reason);
            // The registration is changed, not made, when it lingers.
            if self.poll.registry().register(socket.source(), TIMER, READ_WRITE).is_ok() {
                self.closed.push(socket);
            }
            return;
        };
        let key = self.matches[slot].accept(socket, newcomer, now);
        let token = token(slot, key);
        let socket = self.matches[slot].socket(key).expect("it was accepted just now");
        if let Err(error) = self.poll.registry().register(socket.source(), token, READ_WRITE) {
            tracing::error!(%error, "a socket can't be polled; raise the limit of open files");
            self.guard(slot, now, |found, context, _| {
                found.close(key, CloseReason::TooSlow, context);
            });
            return;
        }
        self.guard(slot, now, |found, context, buffer| {
            found.handle_bytes(key, &mut leftover, context);
            // What a TLS session has taken off its socket already is not told by a poll.
            found.handle_readable(key, Until::Drained, buffer, context);
        });
    }

    fn handle_ready(&mut self, event: &Event, now: Micros) {
        let Token(token) = event.token();
        let (slot, key) = (token >> KEY_BITS, token & KEY_MASK);
        if slot == LINGERING {
            return self.lingering.handle_ready(key, &mut self.buffer);
        }
        if event.is_writable() {
            self.guard(slot, now, |found, context, _| found.handle_writable(key, context));
        }
        if event.is_readable() || event.is_error() || event.is_read_closed() {
            let until = if event.is_read_closed() { Until::End } else { Until::Drained };
            self.guard(slot, now, |found, context, buffer| {
                found.handle_readable(key, until, buffer, context);
            });
        }
    }

    /// Runs the matches whose tick is due.
    fn run_due(&mut self) {
        if self.next_due.is_none_or(|due| self.clock.now() < due) {
            return;
        }
        for slot in self.slots() {
            let now = self.clock.now();
            if self.matches.get(slot).is_none_or(|found| found.due() > now) {
                continue;
            }
            self.guard(slot, now, |found, context, _| found.tick(context));
            let Some(ticked) = self.matches.get(slot) else { continue };
            if self.leaves_by.is_some_and(|by| now >= by || ticked.may_end()) {
                self.end(slot, CloseReason::Drain, now);
                continue;
            }
            if ticked.is_abandoned(now) && self.directory.remove_if_empty(ticked.id()) {
                self.end(slot, CloseReason::NoMatch, now);
            }
        }
        self.next_due = self.matches.iter().map(|(_, found)| found.due()).min();
    }

    /// Leaves out what the shard can't carry, and takes it back when it can.
    fn relieve(&mut self, now: Micros) {
        let Stats { ticks, overruns, late, busy, .. } = self.stats;
        let before = self.ladder.step();
        let Some(step) = self.ladder.look(Work { ticks, overruns, late, busy }, now) else {
            return;
        };
        if step != before {
            tracing::warn!(step = step.name(), "overload ladder");
            self.is_overloaded.store(step == Step::Matches, Ordering::Relaxed);
            self.stats.step = step as u64;
            *self.stats.steps.entry(step.name()).or_default() += 1;
        } else if step == Step::Ground {
            return;
        }
        let connections: usize =
            self.matches.iter().map(|(_, found)| found.connections_len()).sum();
        let mean = connections / self.matches.len().max(1);
        for (_, found) in &mut self.matches {
            let halves = match step {
                Step::Ground => Halves::Nobody,
                Step::Snapshots | Step::Ticks | Step::Matches
                    if found.connections_len() >= mean =>
                {
                    Halves::Everybody
                }
                Step::Spectators | Step::Snapshots | Step::Ticks | Step::Matches => {
                    Halves::Spectators
                }
            };
            found.relieve(Relief { halves, slowdown: step.slowdown() });
        }
    }

    /// Calls a match. If its game panics the match ends, and nothing else does.
    fn guard(
        &mut self,
        slot: usize,
        now: Micros,
        call: impl FnOnce(&mut Match<G>, &mut Context<'_>, &mut [u8]),
    ) {
        let Some(found) = self.matches.get_mut(slot) else { return };
        let (stats, closed) = (&mut self.stats, &mut self.closed);
        let mut context = Context { now, clock: self.clock, stats, closed };
        let buffer = &mut self.buffer;
        let called = catch_unwind(AssertUnwindSafe(|| call(found, &mut context, buffer)));
        if called.is_err() {
            tracing::error!(match_id = found.id().0, "the game panicked; its match ends");
            self.stats.matches_failed += 1;
            self.end(slot, CloseReason::MatchFailed, now);
        }
    }

    fn end(&mut self, slot: usize, reason: CloseReason, now: Micros) {
        let mut ended = self.matches.remove(slot);
        self.directory.remove(ended.id());
        let (stats, closed) = (&mut self.stats, &mut self.closed);
        ended.account(&mut stats.field_bits);
        ended.close_all(reason, &mut Context { now, clock: self.clock, stats, closed });
        self.teller.of(ended.id()).tell(None, Happening::Ended);
        tracing::info!(match_id = ended.id().0, %reason, "match ended");
        // A game that panicked may do so again when it is dropped.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(ended)));
    }

    /// Sees sockets off that matches are done with.
    fn linger(&mut self, now: Micros) {
        for mut socket in self.closed.drain(..) {
            let key = self.lingering.next_key();
            let token = token(LINGERING, key);
            if self.poll.registry().reregister(socket.source(), token, READ_WRITE).is_ok() {
                self.lingering.insert(socket, now);
            }
        }
        self.lingering.sweep(now);
    }

    fn report(&self) -> Stats {
        let connections = self.matches.iter().map(|(_, found)| found.connections_len() as u64);
        let mut stats = self.stats.clone();
        stats.matches = self.matches.len() as u64;
        stats.connections = connections.sum();
        for (_, found) in &self.matches {
            found.account(&mut stats.field_bits);
            stats.spectators.insert(found.id().0, found.spectators_len());
        }
        stats
    }

    /// All places that may hold a match, to be walked while matches come and go.
    fn slots(&self) -> Range<usize> {
        0..self.matches.capacity()
    }
}

const KEY_BITS: u32 = 32;
const KEY_MASK: usize = (1 << KEY_BITS) - 1;
/// Stands for the match of sockets that no match has any more. Less than all bits, so that it
/// never makes one of the tokens above.
const LINGERING: usize = (1 << 31) - 1;

const fn token(slot: usize, key: usize) -> Token {
    Token((slot << KEY_BITS) | key)
}

/// When the `n`th match of a shard begins: matches are spread over the tick interval by the golden
/// ratio, however many there will be.
fn stagger(rate: TickRate, n: u32, now: Micros) -> Micros {
    /// 2^32 divided by the golden ratio.
    const STEP: u32 = 0x9E37_79B9;
    let interval = rate.interval().0;
    let phase = (u64::from(n.wrapping_mul(STEP)) * interval) >> 32;
    let intervals = now.0 / interval + 1;
    Micros(intervals * interval + phase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_are_spread_over_the_interval() {
        let rate = TickRate::new(30).unwrap();
        let mut phases: Vec<_> =
            (0..10).map(|n| stagger(rate, n, Micros(5)).0 % rate.interval().0).collect();
        phases.sort_unstable();
        let gaps = phases.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(gaps.min() >= Some(rate.interval().0 / 20), "{phases:?}");
    }
}
