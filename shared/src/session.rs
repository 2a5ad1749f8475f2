//! A client's session, from the first connection to the last: a [`ClientLink`] and an
//! [`Interpolation`], and what a client has to do when its connection ends. Bytes and time go in;
//! what to request, frames, events and the state come out.
//!
//! It resumes the session after the connection was lost, joins anew when the session is gone, as
//! after a restart of the server, and ends when there is no use in trying again. Between two
//! attempts it waits for a random time of up to 250 ms, then up to twice as long each time, up to
//! 5 s. It ends when no snapshot has come for a minute of attempts, or when the server has sent
//! invalid frames on five connections without playing well meanwhile. A spectator's session ends
//! with its connection, and the spectator joins again.
//!
//! # A client
//!
//! The program has the socket and the clock. All times are on one clock, which must not go back:
//! [`std::time::Instant`] will do, the time of day will not. In each turn of its loop:
//!
//! 1. Pass what has arrived to [`Session::handle_frame`] (the payloads of whole binary messages, in
//!    order) and [`Session::handle_closed`], each with the time at which it *arrived*: estimates of
//!    the network are as good as that. So in a program that renders frames, let a thread read the
//!    socket.
//! 2. When [`Session::poll_connect`] says so, drop the previous connection, with all that is still to
//!    come from it, and also one that is still being made, since it would take the session from the
//!    next; and begin that, with the path and query that [`Session::connect`] returns.
//! 3. Call [`Session::poll_input`] until it returns `None`, and for each tick
//!    [`Session::write_input`].
//! 4. Send what [`Session::poll_frame`] returns, each as one binary message, until it returns
//!    `None`.
//! 5. Before drawing, call [`Session::advance`]; then show [`Session::view`], or, unless it is
//!    [`SessionState::Playing`], what [`Session::state`] says. What does not move, such as cards or a
//!    scoreboard, is better taken from each [`SessionEvent::Snapshot`], which is not in the past.
//!
//! A player who is predicted needs a [`Prediction`] besides, which depends on the game: make one
//! after [`SessionEvent::Joined`], and call its `restart` after [`SessionEvent::Resumed`], `push`
//! for each input, `reconcile` for each snapshot, and `shown` for each drawn frame, with
//! [`ClientLink::input_part`].
//!
//! To leave, close the connection with code 1000: the seat is then free at once. If the program
//! just ends, the server keeps the seat for its grace period.
//!
//! `bot-client/examples/play.rs` is such a client.
//!
//! # In an engine
//!
//! A session and a prediction are `Send` and `Sync`, so one resource of an engine like Bevy can hold
//! both. The clock is real time, not a game time that pauses. Steps 1 to 4 are one system, after the
//! one that reads the keys: if the program loads a level between 1 and 2, the connection seems to
//! be dead. Ticks are those that step 3 asks for, not the engine's fixed steps. Step 5 is another
//! system, before those that draw.
//!
//! The engine's entities follow the view: keep a map from [`EntityId`] and kind to the engine's
//! entity, and in each frame move those that are in the view, spawn those that are new to the map,
//! and despawn those that the view no longer has.
//!
//! [`EntityId`]: crate::ids::EntityId
//! [`Prediction`]: crate::replica::Prediction

mod backoff;
mod options;

use std::{collections::VecDeque, mem};

pub use options::SessionOptions;

use backoff::Backoff;
use options::push_encoded;

use crate::{
    close::Back,
    ids::{MatchId, Tick},
    link::{ClientEvent, ClientLink, Digest, ServerFault},
    replica::{Interpolation, View},
    rows::Rows,
    social::{ChatRefused, Social},
    time::{Micros, UnixMillis},
    wire::{ResumeToken, Welcome},
};

/// The close code in [`Closed`] of a connection that ended without a close frame, or that could not
/// be made.
pub const NO_CODE: u16 = 1006;
/// The close code in [`Closed`] of a connection on which the server has sent an invalid frame.
pub const CLIENT_FAULT: u16 = 4900;
/// A connection on which nothing arrives for this long is dead.
const TIMEOUT: Micros = Micros::from_secs(6);
/// If no input was made for this long, a snapshot gets an acknowledgement of its own.
const ACK_INTERVAL: Micros = Micros::from_millis(100);

/// A client's session, over all of its connections; see the [module](self) for the order of calls.
#[derive(Debug)]
pub struct Session {
    options: SessionOptions,
    backoff: Backoff,
    state: SessionState,
    link: ClientLink,
    others: Interpolation,
    /// The match of the next connection.
    match_id: Option<MatchId>,
    /// Of the session that the next connection resumes.
    token: Option<ResumeToken>,
    /// When the next connection is due. `None` while there is one, and after the end.
    connect_at: Option<Micros>,
    /// Frames that wait to be sent: the hello and inputs.
    out: VecDeque<Vec<u8>>,
    wants_resync: bool,
    /// The newest snapshot that was acknowledged, and when.
    acknowledged: (Option<Tick>, Micros),
    /// When anything was last received, or the connection was begun.
    heard_at: Micros,
    /// The newest line of chat: a server sends the last lines again.
    newest_line: Option<(u32, UnixMillis)>,
}

/// The state of a [`Session`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SessionState {
    /// The first connection is being made.
    Connecting,
    /// Snapshots arrive.
    Playing,
    /// The last connection has ended for this reason, and no snapshot has arrived since.
    Resuming(Closed),
    /// The session is over: the server has ended it, or reconnecting has failed for a minute. In the
    /// second case, the server may keep the seat for longer: [`Session::resuming`] gets it back.
    Ended(Closed),
}

/// How a connection has ended. As an error, it is for the user.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{reason} ({code})")]
pub struct Closed {
    /// The close code: a [`CloseReason::code`](crate::close::CloseReason::code), [`NO_CODE`],
    /// [`CLIENT_FAULT`], or what a proxy has sent.
    pub code: u16,
    /// The reason in words, in English: the server's, or an error of the network.
    pub reason: String,
}

/// What the next connection is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Connect {
    /// To join this match, or one that the server chooses. A server with a key requires a ticket.
    Join(Option<MatchId>),
    /// To resume the session, which needs no ticket.
    Resume,
}

/// What a frame from the server means to the game.
#[derive(Debug)]
pub enum SessionEvent<'a> {
    /// The client has joined: for the first time, or anew since its session was lost, perhaps in
    /// another match, so that what it kept of the last one is of no use. If the program is built with
    /// its game's rules, compare the schema with that game's now: the server may have another version.
    Joined(&'a Welcome),
    /// The session goes on after the connection was lost.
    Resumed(&'a Welcome),
    /// A newer snapshot was applied.
    Snapshot {
        /// Its tick.
        tick: Tick,
        /// Its rows.
        rows: &'a Rows,
        /// What only this seat's player receives, as of the snapshot.
        owner: &'a [i32],
    },
    /// Something happened in the match. It arrives before what is shown has reached its tick: if it
    /// belongs to what is on the screen, such as an explosion, keep it until the view's
    /// [moment](View::moment) is not before that tick.
    Event {
        /// The tick that it happened in.
        tick: Tick,
        /// Index in the schema's `events`.
        kind: u8,
        /// One integer for each value that the schema names.
        values: Vec<i32>,
    },
    /// Presence, chat and notices. Lines that the server repeats are left out.
    Social(Social),
    /// The server is draining, and closes the connection within this time. The session then tries
    /// to reconnect.
    Leaving(Micros),
}

impl Session {
    /// A session whose first connection is due. The seed is for the waits: it should differ between
    /// clients, so that not all of them reconnect at the same moment.
    #[must_use]
    pub fn new(options: SessionOptions, seed: u64) -> Self {
        let mut session = Self {
            match_id: options.match_id,
            options,
            backoff: Backoff::new(seed),
            state: SessionState::Connecting,
            link: ClientLink::default(),
            others: Interpolation::default(),
            token: None,
            connect_at: Some(Micros(0)),
            out: VecDeque::new(),
            wants_resync: false,
            acknowledged: (None, Micros(0)),
            heard_at: Micros(0),
            newest_line: None,
        };
        session.prepare_hello();
        session
    }

    /// A session that goes on with an earlier one, of this program before it was started again, or
    /// after it gave up: it resumes that, if the server still keeps the seat, and joins otherwise. The
    /// match and the token were in the welcome. [`SessionEvent::Joined`] comes first in both cases; if
    /// the session was resumed, with the same [`Welcome::session`].
    #[must_use]
    pub fn resuming(
        options: SessionOptions,
        match_id: MatchId,
        token: ResumeToken,
        seed: u64,
    ) -> Self {
        let mut session = Self::new(options, seed);
        (session.match_id, session.token) = (Some(match_id), Some(token));
        session.prepare_hello();
        session
    }

    /// The session's state.
    #[must_use]
    pub const fn state(&self) -> &SessionState {
        &self.state
    }

    /// The link: the welcome, the schema, the newest rows and the clock. It is a new one, without
    /// any of these, while the client joins anew.
    #[must_use]
    pub const fn link(&self) -> &ClientLink {
        &self.link
    }

    /// What the next connection is for, if one is due; the same until [`Self::connect`] is called.
    /// Call this often: it also notices that a connection is dead.
    pub fn poll_connect(&mut self, now: Micros) -> Option<Connect> {
        if self.is_connected() && now.since(self.heard_at) > TIMEOUT {
            let reason = String::from("the connection timed out");
            self.lose(Closed { code: NO_CODE, reason }, Back::Resume, now);
        }
        self.connect_at.filter(|at| *at <= now)?;
        Some(if self.token.is_some() { Connect::Resume } else { Connect::Join(self.match_id) })
    }

    /// Handles that the program begins the next connection; only after [`Self::poll_connect`] has
    /// asked for it. Returns the path and query to request. To join a server with a key, first get
    /// a ticket, however long that takes; otherwise, `ticket` is empty.
    pub fn connect(&mut self, ticket: &str, now: Micros) -> String {
        let waited = self.connect_at.take().map_or(Micros(0), |at| now.since(at));
        // The user may have had to log in, which does not count.
        self.backoff.handle_delay(waited);
        self.heard_at = now;
        let mut path = self.options.path(self.match_id);
        if self.token.is_some() {
            path += "&resume=1";
        } else if !ticket.is_empty() {
            path += "&ticket=";
            push_encoded(ticket, &mut path);
        }
        path
    }

    /// Handles that there is no ticket for the next connection: it is tried again later.
    pub fn handle_no_ticket(&mut self, reason: String, now: Micros) {
        if self.connect_at.is_some() && self.token.is_none() {
            // The match that the ticket was for may be gone.
            self.match_id = self.options.match_id;
            self.lose(Closed { code: NO_CODE, reason }, Back::Resume, now);
        }
    }

    /// Handles the end of the connection at `at`, or that it could not be made. Without a close
    /// frame the code is [`NO_CODE`].
    pub fn handle_closed(&mut self, closed: Closed, at: Micros) {
        if self.is_connected() {
            let back = Back::after(closed.code);
            self.lose(closed, back, at);
        }
    }

    /// Handles a frame from the server, which arrived at `at`. `None` if it means nothing to the
    /// game, or comes too late. With an invalid frame the connection is over, as if it were lost.
    pub fn handle_frame(&mut self, frame: &[u8], at: Micros) -> Option<SessionEvent<'_>> {
        if !self.is_connected() {
            return None;
        }
        self.heard_at = self.heard_at.max(at);
        let is_new = self.link.welcome().is_none();
        match self.link.handle_frame(frame, at) {
            Ok(ClientEvent::Welcome(_)) => self.welcomed(is_new),
            Ok(ClientEvent::Snapshot { tick, digest }) => {
                self.wants_resync |= digest == Digest::Differs;
                self.applied(tick, at)
            }
            Ok(ClientEvent::Event { tick, kind, values }) => {
                Some(SessionEvent::Event { tick, kind, values })
            }
            Ok(ClientEvent::Social(social)) => {
                self.is_news(&social).then_some(SessionEvent::Social(social))
            }
            Ok(ClientEvent::Leaving { within }) => Some(SessionEvent::Leaving(within)),
            Ok(ClientEvent::Pong { .. } | ClientEvent::Model | ClientEvent::Pace { .. }) => None,
            Err(fault) => {
                self.handle_fault(&fault, at);
                None
            }
        }
    }

    fn welcomed(&mut self, is_new: bool) -> Option<SessionEvent<'_>> {
        let welcome = self.link.welcome()?;
        if self.match_id != Some(welcome.match_id) {
            self.newest_line = None;
        }
        self.match_id = Some(welcome.match_id);
        // A spectator's session ends with its connection.
        self.token = welcome.seat.map(|_| welcome.resume);
        self.others.restart();
        Some(if is_new { SessionEvent::Joined(welcome) } else { SessionEvent::Resumed(welcome) })
    }

    fn applied(&mut self, tick: Tick, at: Micros) -> Option<SessionEvent<'_>> {
        if self.state != SessionState::Playing {
            self.state = SessionState::Playing;
            self.backoff.handle_playing(at);
        }
        let (rows, clock) = self.link.rows().zip(self.link.clock())?;
        self.others.push(tick, rows, clock, at);
        Some(SessionEvent::Snapshot { tick, rows, owner: self.link.owner() })
    }

    fn is_news(&mut self, social: &Social) -> bool {
        let Social::Line(line) = social else { return true };
        // A match of a restarted server counts from 1 again, but its lines are later.
        let is_old = |(id, sent_at)| line.id <= id && line.sent_at <= sent_at;
        if self.newest_line.is_some_and(is_old) {
            return false;
        }
        self.newest_line = Some((line.id, line.sent_at));
        true
    }

    /// The tick for which the player's input should be written now. `None` for spectators.
    pub fn poll_input(&mut self, now: Micros) -> Option<Tick> {
        self.link.welcome()?.seat?;
        let tick = self.link.poll_input(now)?;
        // An input acknowledges, too.
        self.acknowledged = (self.link.applied(), now);
        Some(tick)
    }

    /// Writes an input, which [`Self::poll_frame`] then returns.
    ///
    /// # Panics
    /// When the values do not fit the schema: see [`ClientLink::write_input`].
    pub fn write_input(&mut self, tick: Tick, values: &[i32]) {
        let mut frame = Vec::new();
        if self.link.write_input(tick, values, &mut frame).is_some() {
            self.out.push_back(frame);
        }
    }

    /// Queues a line of chat to everyone in the match, also while the connection is lost: it is
    /// sent when the session is resumed, and discarded if it can't be. See [`ClientLink::chat`].
    pub fn chat(&mut self, text: &str) -> Result<(), ChatRefused> {
        if matches!(self.state, SessionState::Ended(_)) {
            return Err(ChatRefused::NotSeated);
        }
        self.link.chat(text)
    }

    /// The next frame to send: the hello, inputs, pings, acknowledgements, chat. `None` while there
    /// is no connection.
    pub fn poll_frame(&mut self, now: Micros) -> Option<Vec<u8>> {
        if !self.is_connected() {
            return None;
        }
        if let Some(frame) = self.out.pop_front() {
            return Some(frame);
        }
        let mut frame = Vec::new();
        if mem::take(&mut self.wants_resync) {
            self.link.write_resync(&mut frame);
            return Some(frame);
        }
        if self.link.poll_chat(&mut frame) {
            return Some(frame);
        }
        self.link.poll_ping(now, &mut frame);
        let (newest, acknowledged_at) = self.acknowledged;
        if frame.is_empty()
            && newest != self.link.applied()
            && now.since(acknowledged_at) >= ACK_INTERVAL
        {
            self.acknowledged = (self.link.applied(), now);
            self.link.write_ack(&mut frame);
        }
        (!frame.is_empty()).then_some(frame)
    }

    /// Moves what is shown on to `now`. Call this before each drawn frame.
    pub fn advance(&mut self, now: Micros) {
        if let Some(clock) = self.link.clock()
            && let Some(view) = self.others.view(clock, now)
        {
            self.link.set_seen(view.moment());
        }
    }

    /// What to draw: the entities as of the last [`Self::advance`], a little in the past. `None`
    /// before the first snapshot. While the session is resumed, it stays.
    #[must_use]
    pub fn view(&self) -> Option<View<'_>> {
        self.others.shown()
    }

    /// Whether there is a connection, or one is being made.
    const fn is_connected(&self) -> bool {
        self.connect_at.is_none() && !matches!(self.state, SessionState::Ended(_))
    }

    /// Handles an invalid frame: starts again with an empty link, in the same seat if possible.
    fn handle_fault(&mut self, fault: &ServerFault, at: Micros) {
        self.backoff.handle_fault();
        (self.link, self.others) = Default::default();
        let closed = Closed { code: CLIENT_FAULT, reason: fault.to_string() };
        self.lose(closed, Back::Resume, at);
    }

    /// Handles the end of a connection: resumes, joins again, or ends the session.
    fn lose(&mut self, closed: Closed, back: Back, at: Micros) {
        self.backoff.handle_loss(at);
        let has_session = self.token.is_some() || self.match_id != self.options.match_id;
        let is_gone = back == Back::Anew && has_session;
        if is_gone {
            (self.token, self.match_id) = (None, self.options.match_id);
            self.backoff.handle_answer();
        }
        if self.token.is_none() {
            (self.link, self.others) = Default::default();
        }
        self.prepare_hello();
        let may_try = is_gone || back == Back::Resume;
        self.connect_at = if may_try { self.backoff.next_attempt(at) } else { None };
        self.state = match self.connect_at {
            Some(_) => SessionState::Resuming(closed),
            None => SessionState::Ended(closed),
        };
    }

    /// Writes the hello of the next connection. The link learns from it that there is none now.
    fn prepare_hello(&mut self) {
        let mut hello = Vec::new();
        self.link.write_hello(&self.options.name, self.token, &mut hello);
        self.out.clear();
        self.out.push_back(hello);
        self.wants_resync = false;
    }
}

#[cfg(test)]
mod tests;
