//! The life cycle of one bot in the swarm: connecting, reading, writing, reconnecting and ending.

use std::{convert::Infallible, future::pending, pin::pin, rc::Rc, time::Duration};

use tickwire_shared::{
    close::{Back, CloseReason},
    dice::Dice,
    replica::Interpolation,
    time::Micros,
};
use tokio::{
    select,
    time::{sleep, sleep_until, timeout},
};

use super::{LEAVE_TIMEOUT, Phase, Swarm};
use crate::{
    bot::{Absence, Bot, FrameOutcome, Part, Unplayable},
    clock::{Alarm, now},
    connection::{ConnectError, Message, ReadError, Reader, Writer, connect},
    measure::Measures,
    outgoing::UNSENT_BYTES_MAX,
    scenario::Scenario,
    schedule::{Schedule, Send},
    tickets::path_with_ticket,
};

/// The connection state of a bot.
pub(super) enum Place {
    /// Not connected yet.
    Coming,
    /// Connected.
    Here { bot: Box<Bot>, socket: Writer, joined_at: Option<Micros> },
    /// Disconnected, and going to reconnect.
    Away { bot: Box<Bot>, joined_at: Option<Micros> },
    /// Ended for good.
    Gone { joined_at: Option<Micros>, at: Micros },
}

/// Why a bot's connection has failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("no welcome within {:?}", super::JOIN_TIMEOUT)]
    NoWelcome,
    #[error("nothing received for {SILENCE_MAX:?}")]
    Silence,
    #[error("its connection was lost, and not made again before the run ended")]
    Away,
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Unplayable(#[from] Unplayable),
    #[error("the server does not read what the bot sends")]
    NotRead,
}

/// How a connection ends.
enum Loss {
    Trouble(Trouble),
    /// The scenario cuts it.
    Cut,
    /// The scenario has the bot leave, and a new one join.
    Left,
}

/// Timeout of receiving anything, and of connecting.
const SILENCE_MAX: Duration = Duration::from_secs(6);
/// Longest backoff before the first reconnect; shorter in tests.
const FIRST_WAIT_MS: u64 = if cfg!(test) { 10 } else { 250 };
/// Longest backoff after failures: a bot that fails after that, before it was ever welcomed, is lost.
const WAIT_MS_MAX: u64 = 20 * FIRST_WAIT_MS;
/// How long a bot that was welcomed tries to come back, as other clients do.
const AWAY_MAX: Micros = Micros::from_secs(60);
/// How long a bot stays in the scenario churn; shorter in tests.
const STAY_MS_MIN: u64 = if cfg!(test) { 100 } else { 2_000 };
const STAY_MS_MAX: u64 = if cfg!(test) { 300 } else { 8_000 };

impl Trouble {
    /// The close code, if the server has closed the connection.
    pub(super) const fn code(&self) -> Option<u16> {
        if let Self::Read(ReadError::Closed { code, .. }) = self { Some(*code) } else { None }
    }
}

impl Loss {
    /// Whether the session can't be resumed, so that the bot joins anew.
    fn ends_session(&self) -> bool {
        match self {
            Self::Left => true,
            Self::Cut => false,
            Self::Trouble(trouble) => {
                self.is_expected() || trouble.code().map(Back::after) == Some(Back::Anew)
            }
        }
    }

    /// Whether the scenario has caused it, or the match is over.
    fn is_expected(&self) -> bool {
        match self {
            Self::Left | Self::Cut => true,
            Self::Trouble(trouble) => trouble.code() == Some(CloseReason::MatchOver.code()),
        }
    }

    /// Whether another connection may help.
    fn is_temporary(&self) -> bool {
        let Self::Trouble(trouble) = self else { return true };
        match trouble {
            Trouble::Connect(error) => error.is_temporary(),
            Trouble::Read(ReadError::Broken(_)) | Trouble::Silence => true,
            Trouble::Read(ReadError::Closed { code, .. }) => Back::after(*code) == Back::Resume,
            Trouble::Read(ReadError::NotBinary)
            | Trouble::NoWelcome
            | Trouble::Away
            | Trouble::Unplayable(_)
            | Trouble::NotRead => false,
        }
    }
}

impl Swarm {
    /// Joins at its time in the ramp, and plays. Reconnects after a lost connection, as PROTOCOL.md
    /// requires of clients, until that fails for too long or can't succeed.
    pub(super) async fn live(self: Rc<Self>, number: usize) {
        let part = number as f64 / self.options.bots as f64;
        sleep(self.options.ramp.mul_f64(part)).await;
        let mut dice = Dice::new(self.options.seed ^ number as u64);
        let mut path = self.first_path();
        let mut wait_ms = FIRST_WAIT_MS;
        let mut away_since = None;
        loop {
            let loss = self.session(number, &path, &mut dice).await;
            if self.phase.get() == Phase::Leaving {
                return;
            }
            // Its session is gone, for example with the server that had it: it can join anew.
            let is_forgotten =
                loss.ends_session() && self.places[number].borrow().resume_query().is_some();
            let is_welcome = self.places[number].borrow().is_welcome();
            if loss.is_expected() || is_welcome || is_forgotten {
                wait_ms = FIRST_WAIT_MS;
            }
            if is_welcome {
                away_since = Some(now());
            }
            let is_temporary = loss.is_temporary() || is_forgotten;
            let has_time = match away_since {
                Some(since) => now().since(since) <= AWAY_MAX,
                None => wait_ms <= WAIT_MS_MAX,
            };
            let has_hope = is_temporary && has_time;
            let Some(next) = self.prepare_reconnect(number, &loss).filter(|_| has_hope) else {
                let trouble = match loss {
                    Loss::Trouble(trouble) => trouble,
                    Loss::Cut | Loss::Left => Trouble::NoWelcome,
                };
                return self.gone(number, trouble);
            };
            path = next;
            sleep(Duration::from_millis(dice.next() % wait_ms.min(WAIT_MS_MAX))).await;
            wait_ms = (2 * wait_ms).min(2 * WAIT_MS_MAX);
        }
    }

    /// Path and query with which a bot joins.
    fn first_path(&self) -> String {
        match self.options.scenario.part() {
            Part::Plays => self.options.target.path().to_owned(),
            Part::Watches => self.options.target.spectators_path(),
        }
    }

    /// Prepares a bot that has lost its connection for the next one, and returns that one's path.
    /// `None` if there is no bot: it was never connected, or has ended.
    fn prepare_reconnect(&self, number: usize, loss: &Loss) -> Option<String> {
        let place = &mut *self.places[number].borrow_mut();
        match std::mem::replace(place, Place::Coming) {
            Place::Here { mut bot, joined_at, .. } => {
                let absence = Absence { since: now(), is_expected: loss.is_expected() };
                bot.resume(absence, &mut self.measures.borrow_mut());
                if loss.ends_session() || bot.resume_query().is_none() {
                    *bot = bot.successor(self.options.seed);
                }
                *place = Place::Away { bot, joined_at };
            }
            other @ (Place::Coming | Place::Away { .. } | Place::Gone { .. }) => *place = other,
        }
        let Place::Away { .. } = place else { return None };
        let resume = |query: String| format!("{}?{query}", self.options.target.play_path());
        Some(place.resume_query().map_or_else(|| self.first_path(), resume))
    }

    /// Runs one connection to its end.
    async fn session(&self, number: usize, path: &str, dice: &mut Dice) -> Loss {
        let mut playing = pin!(self.connect_and_listen(number, path));
        select! {
            Err(trouble) = &mut playing => Loss::Trouble(trouble),
            () = self.cut.notified() => Loss::Cut,
            () = self.stay(dice) => {
                self.places[number].borrow_mut().leave(now());
                // Waits for the server's close frame, but not for ever.
                let _ = timeout(LEAVE_TIMEOUT, playing).await;
                Loss::Left
            }
        }
    }

    /// Waits until the scenario has the bot leave.
    async fn stay(&self, dice: &mut Dice) {
        if self.options.scenario != Scenario::Churn {
            return pending().await;
        }
        sleep(Duration::from_millis(STAY_MS_MIN + dice.next() % (STAY_MS_MAX - STAY_MS_MIN))).await;
    }

    async fn connect_and_listen(&self, number: usize, path: &str) -> Result<Infallible, Trouble> {
        let target = &self.options.target;
        let connecting = async {
            match &self.options.operator_token {
                // A resume needs no ticket.
                Some(token) if !path.contains("resume=") => {
                    let path = path_with_ticket(&self.dialer, target, token, path, number).await?;
                    connect(&self.dialer, target, &path).await
                }
                Some(_) | None => connect(&self.dialer, target, path).await,
            }
        };
        let connected = timeout(SILENCE_MAX, connecting).await;
        let (reader, socket) = connected.map_err(|_| Trouble::Silence)??;
        let place = &self.places[number];
        let (bot, joined_at) = match place.replace(Place::Coming) {
            Place::Away { bot, joined_at } => (bot, joined_at),
            Place::Coming => {
                // Over a simulated network bots see others interpolated, as players do.
                let others = self.options.net.map(|_| Interpolation::default());
                (
                    Box::new(Bot::new(
                        number,
                        self.options.seed,
                        self.options.scenario.part(),
                        others,
                    )),
                    None,
                )
            }
            other @ (Place::Here { .. } | Place::Gone { .. }) => {
                place.replace(other);
                return Err(Trouble::NoWelcome);
            }
        };
        place.replace(Place::Here { bot, socket, joined_at });
        self.listen(number, reader).await
    }

    async fn listen(&self, number: usize, mut reader: Reader) -> Result<Infallible, Trouble> {
        let place = &self.places[number];
        place.borrow_mut().flush()?;
        loop {
            if let Some(until) = self.stalled_until.get().filter(|_| number.is_multiple_of(8)) {
                sleep_until(until).await;
            }
            let message = timeout(SILENCE_MAX, reader.next()).await;
            match message.map_err(|_| Trouble::Silence)?? {
                Message::Binary(payload) => self.handle_payload(number, &payload)?,
                Message::Ping(payload) => place.borrow_mut().answer_ping(&payload)?,
                Message::Pong => {}
            }
        }
    }

    fn handle_payload(&self, number: usize, payload: &[u8]) -> Result<(), Trouble> {
        let mut place = self.places[number].borrow_mut();
        let Place::Here { bot, joined_at, .. } = &mut *place else { return Ok(()) };
        let mut measures = self.measures.borrow_mut();
        match bot.handle_frame(payload, now, &self.make_brain, &mut measures)? {
            FrameOutcome::Welcome(rate) => {
                *joined_at = Some(now());
                self.rate.set(Some(rate));
                self.joined.set(self.joined.get() + 1);
                self.changed.notify_one();
                Ok(())
            }
            FrameOutcome::Resumed(Absence { since, is_expected }) => {
                let now = now();
                self.resumed.set(self.resumed.get() + 1);
                self.away_max.set(self.away_max.get().max(now.since(since)));
                if is_expected {
                    self.excused.set(self.excused.get().plus(measures.overlap(since, now)));
                }
                Ok(())
            }
            FrameOutcome::Mismatch => place.flush(),
            FrameOutcome::Other => Ok(()),
        }
    }

    /// Ends a bot for good.
    pub(super) fn gone(&self, number: usize, trouble: Trouble) {
        let at = now();
        let mut place = self.places[number].borrow_mut();
        let joined_at = match &mut *place {
            Place::Gone { .. } => return,
            Place::Coming => None,
            Place::Away { joined_at, .. } => *joined_at,
            Place::Here { bot, joined_at, .. } => {
                bot.give_up(at, &mut self.measures.borrow_mut());
                *joined_at
            }
        };
        *place = Place::Gone { joined_at, at };
        if self.phase.get() == Phase::Leaving {
            return;
        }
        let count = if joined_at.is_some() { &self.lost } else { &self.rejected };
        count.set(count.get() + 1);
        self.first_trouble.borrow_mut().get_or_insert(trouble);
        self.changed.notify_one();
    }

    /// Writes for all bots, each when its send is due.
    pub(super) async fn write_on(self: Rc<Self>, mut schedule: Schedule, alarm: Alarm) {
        loop {
            // The clock is read once per round, so that a swarm that is behind still reads too.
            let now = now();
            while let Some(send) = schedule.take(now) {
                self.send(send);
            }
            alarm.wait_until(schedule.due()).await.expect("an alarm that exists can be set");
        }
    }

    fn send(&self, Send { bot: number, due }: Send) {
        let mut place = self.places[number].borrow_mut();
        let Place::Here { bot, .. } = &mut *place else { return };
        bot.play(due, now, &mut self.measures.borrow_mut());
        let flushed = place.flush();
        drop(place);
        if let Err(trouble) = flushed {
            self.gone(number, trouble);
        }
    }
}

impl Place {
    pub(super) const fn has_joined(&self) -> bool {
        match self {
            Self::Coming => false,
            Self::Here { joined_at, .. }
            | Self::Away { joined_at, .. }
            | Self::Gone { joined_at, .. } => joined_at.is_some(),
        }
    }

    fn is_welcome(&self) -> bool {
        matches!(self, Self::Here { bot, .. } if bot.absence().is_none())
    }

    /// The query to resume the bot's session with, if it ever had one.
    fn resume_query(&self) -> Option<String> {
        let (Self::Here { bot, .. } | Self::Away { bot, .. }) = self else { return None };
        bot.resume_query()
    }

    /// Whether the bot is away, and not because of the scenario.
    pub(super) fn is_missing(&self) -> bool {
        let (Self::Here { bot, .. } | Self::Away { bot, .. }) = self else { return false };
        bot.absence().is_some_and(|absence| !absence.is_expected)
    }

    /// When the bot has begun and ended playing; an empty span if it never has played.
    pub(super) fn attendance(&self, now: Micros) -> (Micros, Micros) {
        match *self {
            Self::Coming => (now, now),
            Self::Here { joined_at, .. } | Self::Away { joined_at, .. } => {
                (joined_at.unwrap_or(now), now)
            }
            Self::Gone { joined_at, at } => (joined_at.unwrap_or(at), at),
        }
    }

    pub(super) fn awaits_answer(&self, measures: &Measures) -> bool {
        match self {
            Self::Here { bot, .. } => bot.awaits_answer(measures),
            Self::Coming | Self::Away { .. } | Self::Gone { .. } => false,
        }
    }

    /// Sends the bot's close frame.
    pub(super) fn leave(&mut self, now: Micros) {
        if let Self::Here { bot, .. } = self {
            bot.leave(now);
            // If that fails, the connection is over already.
            let _ = self.flush();
        }
    }

    fn answer_ping(&mut self, payload: &[u8]) -> Result<(), Trouble> {
        if let Self::Here { bot, .. } = self {
            bot.outgoing().pong(payload);
        }
        self.flush()
    }

    /// Writes as much as the kernel takes now; the rest goes with the next send.
    fn flush(&mut self) -> Result<(), Trouble> {
        let Self::Here { bot, socket, .. } = self else { return Ok(()) };
        let outgoing = bot.outgoing();
        // Errors are left to the reading end, which also learns the reason.
        if let Ok(count) = socket.try_write(outgoing.unsent()) {
            outgoing.taken(count);
        }
        let is_read = outgoing.unsent().len() <= UNSENT_BYTES_MAX;
        if is_read { Ok(()) } else { Err(Trouble::NotRead) }
    }
}
