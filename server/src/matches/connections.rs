//! Connections of a match: accepting them, reading and handling their messages, and closing them.
//! The hello is handled in [`super::hello`].

use std::ops::Range;

use tickwire_shared::{
    close::{Back, CloseReason},
    game::{Game, Input},
    ids::SessionId,
    link::{Received, ServerLink, integers::packed_bytes},
    schema::Schema,
    social::Social,
    time::Micros,
    wire::{CLIENT_FRAME_BYTES_MAX, ServerMessage},
    ws::{Decoder, Message},
};

use super::{
    Claim, Connection, Context, Match, Ping, Role, SessionState, interest::Sight, push_message,
};
use crate::{
    bucket::Bucket,
    clock::Reading,
    feeds::PresenceChange,
    intake::{Intake, Kept},
    socket::{ReadResult, SendError, Socket, push_pong},
};

/// A spectator's socket is read once in so many rounds: no tick needs its messages.
const SPECTATORS_READ_EVERY: usize = 4;
/// The rate limit counts every so many bytes as one more message, or as many as an input takes if
/// that is more. So empty fragments don't get around it.
const BYTES_PER_MESSAGE: usize = 64;
/// TLS bytes that are free for each byte of plaintext: an acknowledgement in a record of its own
/// takes four.
const TLS_BYTES: usize = 8;
/// Replies are gathered up to so many bytes and written at once: a write costs more than handling a
/// ping, so a thousand pings must not cause a thousand writes.
const ANSWERS_BYTES: usize = 16 * 1024;
/// Most bytes of an input's frame beside its integers: the heads of the frame and of the input.
const INPUT_HEAD_BYTES: usize = 8 + 15;

/// See [`BYTES_PER_MESSAGE`].
pub(super) fn bytes_per_message(schema: &Schema) -> usize {
    BYTES_PER_MESSAGE.max(INPUT_HEAD_BYTES + packed_bytes(&schema.input))
}

/// A participant that the front door has admitted.
#[derive(Debug)]
pub(crate) struct Newcomer {
    /// The connection's id, and the session's unless it resumes another one.
    pub(crate) id: SessionId,
    pub(crate) role: Role,
    pub(crate) claim: Claim,
}

impl<G: Game> Match<G> {
    /// Accepts a connection that has not sent its hello, or has it in `leftover`.
    pub(crate) fn accept(
        &mut self,
        socket: Socket,
        newcomer: Newcomer,
        leftover: &mut [u8],
        intake: &mut Intake,
        context: &mut Context<'_>,
    ) {
        let Newcomer { id, role, claim } = newcomer;
        let now = context.now;
        let key = self.connections.insert(Connection {
            id,
            socket,
            decoder: Decoder::new(CLIENT_FRAME_BYTES_MAX),
            link: ServerLink::new(now),
            session: None,
            seat: None,
            sight: Sight::INITIAL,
            claim,
            role,
            allowance: Bucket::full(now),
            sendable_at: now,
            ping: None,
        });
        self.handle_bytes(key, leftover, 0, now, context);
        self.read_all(key..key + 1, intake, context);
    }

    /// Flushes and reads all sockets, and handles what was received.
    pub(super) fn read_sockets(&mut self, intake: &mut Intake, context: &mut Context<'_>) {
        self.read_at = context.now;
        self.reads = self.reads.wrapping_add(1);
        self.read_all(0..self.connections.capacity(), intake, context);
    }

    /// Does the same for some. First all are read: the kernel's code and ours would evict each other
    /// from the processor's caches if they took turns at each socket.
    fn read_all(&mut self, keys: Range<usize>, intake: &mut Intake, context: &mut Context<'_>) {
        let reading = context.clock.reading();
        for key in keys.clone() {
            self.flush(key, context);
        }
        for key in keys {
            let can_wait = self.connections.get(key).is_some_and(Connection::can_wait);
            if !can_wait || self.reads.wrapping_add(key) % SPECTATORS_READ_EVERY == 0 {
                self.read_socket(key, reading, intake, context);
            }
        }
        self.handle_kept(intake, context);
    }

    /// Flushes one socket.
    fn flush(&mut self, key: usize, context: &mut Context<'_>) {
        if let Some(connection) = self.connections.get_mut(key)
            && !connection.socket.is_flushed()
            && let Err(error) = connection.socket.flush()
        {
            self.end(key, error.into(), context);
        }
    }

    /// Reads one socket, and keeps the bytes.
    fn read_socket(
        &mut self,
        key: usize,
        reading: Reading,
        intake: &mut Intake,
        context: &mut Context<'_>,
    ) {
        while let Some(connection) = self.connections.get_mut(key) {
            match connection.socket.read(intake) {
                ReadResult::Bytes { count, taken, stamp } => {
                    let arrived = reading.arrival(stamp);
                    let idle = taken.saturating_sub(TLS_BYTES * count);
                    // A short read: more bytes, or the end, are for the next round.
                    if intake.keep(Kept { key, count, idle, arrived }) {
                        return;
                    }
                    self.handle_kept(intake, context);
                }
                ReadResult::Nothing => return,
                ReadResult::End => return self.end(key, End::Lost, context),
            }
        }
    }

    /// Handles the bytes that were read so far.
    fn handle_kept(&mut self, intake: &mut Intake, context: &mut Context<'_>) {
        intake.handle(|Kept { key, idle, arrived, .. }, bytes| {
            self.handle_bytes(key, bytes, idle, arrived, context);
        });
    }

    /// Handles the bytes of one read. `idle` TLS bytes beyond the free ones count towards the rate
    /// limit too.
    fn handle_bytes(
        &mut self,
        key: usize,
        bytes: &mut [u8],
        idle: usize,
        arrived: Micros,
        context: &mut Context<'_>,
    ) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let (rate, cost) = (self.settings.messages, (bytes.len() + idle) / self.bytes_per_message);
        if !connection.allowance.take(cost as u32, rate, context.now) {
            return self.close(key, CloseReason::TooFast, context);
        }
        // Taken out of the connection, since handling a message borrows the whole match.
        let mut decoder = std::mem::take(&mut connection.decoder);
        let mut feed = decoder.feed(bytes);
        let mut answers = Vec::new();
        let ended = loop {
            if answers.len() >= ANSWERS_BYTES
                && let Err(error) = self.answer(key, &mut answers)
            {
                break Some(error.into());
            }
            match feed.next() {
                Ok(None) => break None,
                Ok(Some(Message::Close(code))) => {
                    // The client may be gone already.
                    let _ = self.answer(key, &mut answers);
                    return self.leave(key, code, context);
                }
                Ok(Some(message)) => {
                    let handled =
                        self.handle_message(key, &message, arrived, &mut answers, context);
                    if let Err(end) = handled {
                        break Some(end);
                    }
                }
                Err(error) => break Some(End::Closed(CloseReason::Frame(error))),
            }
        };
        let answered = self.answer(key, &mut answers);
        match ended.or_else(|| answered.err().map(End::from)) {
            Some(end) => self.end(key, end, context),
            None => self.connections[key].decoder = decoder,
        }
    }

    /// Sends the gathered replies, if there are any.
    fn answer(&mut self, key: usize, answers: &mut Vec<u8>) -> Result<(), SendError> {
        if answers.is_empty() {
            return Ok(());
        }
        let sent = self.connections[key].socket.send(answers);
        answers.clear();
        sent
    }

    fn handle_message(
        &mut self,
        key: usize,
        message: &Message<'_>,
        arrived: Micros,
        answers: &mut Vec<u8>,
        context: &mut Context<'_>,
    ) -> Result<(), End> {
        let connection = &mut self.connections[key];
        if !connection.allowance.take(1, self.settings.messages, context.now) {
            return Err(CloseReason::TooFast.into());
        }
        let frame = match *message {
            Message::Binary(frame) => frame,
            Message::Text(_) => return Err(CloseReason::Text.into()),
            Message::Ping(payload) => {
                push_pong(payload, answers);
                return Ok(());
            }
            Message::Pong(_) | Message::Close(_) => return Ok(()),
        };
        let values = &mut self.input_values;
        match connection.link.handle_frame(frame, &self.schema.input, values, arrived)? {
            Received::Input { seq, tick, seen } => {
                context.stats.inputs += 1;
                let seat =
                    connection.seat.expect("the link rejects inputs of clients without a seat");
                self.queues[seat.index()].push(tick, seq, seen, G::Input::from_values(values));
                let early = i64::from(tick.since(self.tick.plus(1)));
                let interval = self.schedule.interval().0.cast_signed();
                let lead = self.schedule.due().signed_since(arrived) + early * interval;
                // A late read covers several inputs, but has only the last one's arrival time.
                if context.now.since(self.schedule.due()) < self.schedule.interval() {
                    connection.link.record_lead(lead);
                }
                Ok(())
            }
            Received::Ack => Ok(()),
            Received::Ping { client_time } => {
                // The newest ping is answered with the next snapshot, an earlier one at once.
                if let Some(earlier) = connection.ping.replace(Ping { client_time, arrived }) {
                    let newest = self.newest_for(self.connections[key].seat);
                    let pong = earlier.answer(newest, self.tick_due, context.now);
                    push_message(&pong, &mut Vec::new(), answers);
                }
                Ok(())
            }
            Received::Resync => {
                context.stats.resyncs += 1;
                Ok(())
            }
            Received::Hello(hello) => self.handle_hello(key, &hello, context),
            Received::Chat(typed) => {
                if let Some(refused) = self.handle_chat(key, &typed, context.now) {
                    let refused = ServerMessage::Social(Social::ChatRefused(refused));
                    push_message(&refused, &mut Vec::new(), answers);
                }
                Ok(())
            }
        }
    }

    /// Closes a connection with a reason.
    pub(crate) fn close(&mut self, key: usize, reason: CloseReason, context: &mut Context<'_>) {
        self.close_with(key, reason, context, |socket| socket.close(reason));
    }

    /// Handles a client's close frame, which is answered with its own code.
    fn leave(&mut self, key: usize, code: Option<u16>, context: &mut Context<'_>) {
        self.close_with(key, leaving(code), context, |socket| socket.answer_close(code));
    }

    /// Ends a connection. Its session is detached before the close frame is sent, since the client
    /// may resume at once.
    fn close_with(
        &mut self,
        key: usize,
        why: CloseReason,
        context: &mut Context<'_>,
        send_close: impl FnOnce(&mut Socket),
    ) {
        let mut connection = self.connections.remove(key);
        context.stats.count_closed(why);
        tracing::debug!(match_id = self.entry.id.0, id = connection.id.0, %why, "closed");
        self.detach(&connection, keeps_seat(why), context.now);
        send_close(&mut connection.socket);
        context.closed.push(connection.socket);
    }

    /// Closes all connections.
    pub(crate) fn close_all(&mut self, reason: CloseReason, context: &mut Context<'_>) {
        for mut connection in self.connections.drain() {
            connection.socket.close(reason);
            context.stats.count_closed(reason);
            context.closed.push(connection.socket);
        }
    }

    /// Ends a connection, closed or lost.
    pub(super) fn end(&mut self, key: usize, end: End, context: &mut Context<'_>) {
        match end {
            End::Closed(reason) => self.close(key, reason, context),
            End::Lost => {
                let connection = self.connections.remove(key);
                context.stats.count_lost();
                tracing::debug!(match_id = self.entry.id.0, id = connection.id.0, "lost");
                self.detach(&connection, KeepsSeat::ForAWhile, context.now);
            }
        }
    }

    /// Detaches a session from its connection: its seat is kept for a resume, or freed.
    fn detach(&mut self, connection: &Connection, keeps: KeepsSeat, now: Micros) {
        let Some(key) = connection.session else { return };
        let session = &mut self.sessions[key];
        (session.seq, session.sight) = (connection.link.seq(), connection.sight);
        let seat = session.seat;
        if let Some(seat) = seat {
            self.queues[seat.index()].release();
        }
        let kept = match keeps {
            KeepsSeat::ForAWhile => connection.socket.place().keep().ok(),
            KeepsSeat::ForTheNewer => Some(None),
            KeepsSeat::No => None,
        };
        match (seat, kept) {
            (Some(seat), Some(kept)) => {
                session.state = SessionState::Away { since: now, _kept: kept };
                self.game.away(seat);
                self.announce_presence(key, PresenceChange::Away);
            }
            _ => self.forget(key),
        }
    }
}

/// How a connection ends, other than by the client's close frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum End {
    Closed(CloseReason),
    /// Without a close frame.
    Lost,
}

impl From<CloseReason> for End {
    fn from(reason: CloseReason) -> Self {
        Self::Closed(reason)
    }
}

impl From<SendError> for End {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Lost => Self::Lost,
            SendError::Full => Self::Closed(CloseReason::TooSlow),
        }
    }
}

/// Whether a session outlives its connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum KeepsSeat {
    No,
    ForAWhile,
    /// A newer connection resumes the session at once.
    ForTheNewer,
}

/// A seat is kept if its client may resume, as the protocol tells it.
fn keeps_seat(reason: CloseReason) -> KeepsSeat {
    match Back::after(reason.code()) {
        _ if reason == CloseReason::Replaced => KeepsSeat::ForTheNewer,
        Back::Resume => KeepsSeat::ForAWhile,
        Back::Anew | Back::No => KeepsSeat::No,
    }
}

/// What a client's close frame means: code 1000 gives up the seat; after any other (a page that is
/// reloaded, a browser that shuts down) the client may resume.
const fn leaving(code: Option<u16>) -> CloseReason {
    match code {
        Some(1000) => CloseReason::Done,
        Some(_) | None => CloseReason::Left,
    }
}
