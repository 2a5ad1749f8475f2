//! One bot, sans-IO: it handles frames from the server, and writes the frames to send.

use std::collections::VecDeque;

use tickwire_shared::{
    dice::Dice,
    ids::{InputSeq, MatchId, Seat, Tick},
    link::{ClientEvent, ClientLink, Digest, ServerFault},
    replica::Interpolation,
    schema::Integer,
    time::{Micros, TickRate},
};

use crate::{
    brain::{Brain, Newcomer, View},
    measure::{Applied, Measures},
    outgoing::Outgoing,
};

/// Makes each bot's brain.
pub(crate) type BrainMaker = dyn Fn(&Newcomer<'_>) -> Box<dyn Brain>;

/// Time between two acknowledgements of a spectator, whose inputs can't carry them; as the page's.
const ACK_INTERVAL: Micros = Micros::from_millis(100);
/// Time between a bot's pings.
const PING_INTERVAL: Micros = Micros::from_millis(500);
const NORMAL_CLOSURE: u16 = 1000;

/// See the module.
pub(crate) struct Bot {
    number: usize,
    seed: u64,
    part: Part,
    link: ClientLink,
    outgoing: Outgoing,
    player: Option<Player>,
    /// How it sees other entities, unless it sees the newest snapshot.
    others: Option<Interpolation>,
    /// Inputs that no snapshot has included yet, and when they were written.
    unanswered: VecDeque<(InputSeq, Micros)>,
    /// The newest snapshot, and when it was applied.
    newest: Option<(Tick, Micros)>,
    /// Set while it has no connection, or waits for the welcome on a new one.
    absence: Option<Absence>,
}

/// The time in which a bot does not play.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Absence {
    pub(crate) since: Micros,
    /// Caused by the scenario: no snapshots are expected for that time.
    pub(crate) is_expected: bool,
}

/// A bot's part in a match.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Part {
    Plays,
    Watches,
}

/// The state of a welcomed bot.
struct Player {
    rate: TickRate,
    /// `None` for a spectator.
    seated: Option<Seated>,
    sends_until_ack: u32,
    sends_until_ping: u32,
}

struct Seated {
    seat: Seat,
    brain: Box<dyn Brain>,
    values: Vec<i32>,
}

/// What a frame meant to the bot, as far as it concerns the swarm.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum FrameOutcome {
    /// The server has started its session, with this tick rate.
    Welcome(TickRate),
    /// The server has resumed its session, after this absence.
    Resumed(Absence),
    /// The digest differs, and a request for a full snapshot waits to be sent.
    Mismatch,
    /// Anything else.
    Other,
}

/// Why a bot can't play on: a fault in what the server sent.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Unplayable {
    #[error(transparent)]
    Fault(#[from] ServerFault),
    #[error("the server gave the bot no seat")]
    NoSeat,
}

impl Bot {
    /// A bot whose hello waits to be sent.
    pub(crate) fn new(
        number: usize,
        swarm_seed: u64,
        part: Part,
        others: Option<Interpolation>,
    ) -> Self {
        let mut dice = Dice::new(swarm_seed ^ (number as u64).wrapping_mul(0xD6E8_FEB8_6659_FD93));
        let seed = dice.next();
        let mut outgoing = Outgoing::new(dice);
        let mut link = ClientLink::default();
        outgoing.binary(|payload| link.write_hello("", None, payload));
        Self {
            number,
            seed,
            part,
            link,
            outgoing,
            player: None,
            others,
            unanswered: VecDeque::new(),
            newest: None,
            absence: None,
        }
    }

    /// Its connection was lost, with everything in flight. A hello that resumes its session waits
    /// to be sent on the next one.
    pub(crate) fn resume(&mut self, absence: Absence, measures: &mut Measures) {
        if absence.is_expected {
            self.unanswered.clear();
        }
        self.give_up(absence.since, measures);
        self.newest = None;
        self.absence.get_or_insert(absence);
        self.outgoing.taken(self.outgoing.unsent().len());
        self.outgoing.binary(|payload| self.link.write_hello("", None, payload));
    }

    /// It leaves for good: its close frame waits to be sent, and nothing follows that.
    pub(crate) fn leave(&mut self, now: Micros) {
        self.absence = Some(Absence { since: now, is_expected: true });
        self.outgoing.close(NORMAL_CLOSURE);
    }

    /// A new bot that takes its place after it left.
    pub(crate) fn successor(&self, swarm_seed: u64) -> Self {
        let others = self.others.as_ref().map(|_| Interpolation::default());
        Self { absence: self.absence, ..Self::new(self.number, swarm_seed, self.part, others) }
    }

    /// Set until the server has welcomed it on its newest connection.
    pub(crate) const fn absence(&self) -> Option<Absence> {
        self.absence
    }

    /// The query to resume its session with. `None` for a spectator, whose session ends with its
    /// connection.
    pub(crate) fn resume_query(&self) -> Option<String> {
        let welcome = self.link.welcome()?;
        welcome.seat?;
        let MatchId(id) = welcome.match_id;
        Some(format!("match={id}&resume=1"))
    }

    /// Frames that wait to be sent.
    pub(crate) fn outgoing(&mut self) -> &mut Outgoing {
        &mut self.outgoing
    }

    /// Handles a binary message; `now` reads the clock.
    pub(crate) fn handle_frame(
        &mut self,
        frame: &[u8],
        now: impl Fn() -> Micros,
        make_brain: &BrainMaker,
        measures: &mut Measures,
    ) -> Result<FrameOutcome, Unplayable> {
        let read_at = now();
        match self.link.handle_frame(frame, read_at) {
            Ok(ClientEvent::Snapshot { tick, digest }) => {
                self.applied(tick, digest, frame.len(), now(), measures);
                if digest != Digest::Differs {
                    return Ok(FrameOutcome::Other);
                }
                self.outgoing.binary(|payload| self.link.write_resync(payload));
                Ok(FrameOutcome::Mismatch)
            }
            Ok(ClientEvent::Pong { rtt }) => {
                measures.pong(read_at, rtt);
                Ok(FrameOutcome::Other)
            }
            Ok(
                ClientEvent::Event { .. }
                | ClientEvent::Model
                | ClientEvent::Pace { .. }
                | ClientEvent::Leaving { .. }
                | ClientEvent::Social(_),
            ) => Ok(FrameOutcome::Other),
            Ok(ClientEvent::Welcome(_)) => self.welcomed(make_brain),
            Err(fault) => {
                measures.decode_errors += 1;
                Err(fault.into())
            }
        }
    }

    fn welcomed(&mut self, make_brain: &BrainMaker) -> Result<FrameOutcome, Unplayable> {
        let (Some(welcome), Some(schema)) = (self.link.welcome(), self.link.schema()) else {
            return Ok(FrameOutcome::Other);
        };
        if welcome.seat.is_none() && self.part == Part::Plays {
            return Err(Unplayable::NoSeat);
        }
        let rate = welcome.tick_rate;
        if self.player.is_some() {
            return Ok(self.absence.take().map_or(FrameOutcome::Other, FrameOutcome::Resumed));
        }
        let newcomer = Newcomer { number: self.number, seed: self.seed, welcome, schema };
        let seated = welcome.seat.map(|seat| Seated {
            seat,
            brain: make_brain(&newcomer),
            // The input nearest to doing nothing.
            values: schema.input.iter().map(Integer::neutral).collect(),
        });
        self.player = Some(Player { rate, seated, sends_until_ack: 0, sends_until_ping: 0 });
        Ok(self.absence.take().map_or(FrameOutcome::Welcome(rate), FrameOutcome::Resumed))
    }

    fn applied(
        &mut self,
        tick: Tick,
        digest: Digest,
        payload_bytes: usize,
        at: Micros,
        measures: &mut Measures,
    ) {
        let rate = self.player.as_ref().map(|player| player.rate);
        let interval_error = self.newest.zip(rate).map(|((earlier, earlier_at), rate)| {
            let ticks = u64::from(tick.since(earlier).unsigned_abs());
            Micros(at.since(earlier_at).0.abs_diff(rate.nanos_to(ticks) / 1_000))
        });
        if let (Some(others), Some(clock), Some(rows)) =
            (&mut self.others, self.link.clock(), self.link.rows())
        {
            others.push(tick, rows, clock, at);
        }
        let gap = self.newest.map_or(0, |(earlier, _)| tick.since(earlier));
        self.newest = Some((tick, at));
        measures.applied(&Applied {
            at,
            bytes: payload_bytes + head_bytes(payload_bytes),
            entities: self.link.rows().map_or(0, |rows| rows.len()),
            digest,
            age: self.link.clock().and_then(|clock| Some(at.since(clock.due(tick, at)?))),
            ends_gap: rate.is_some_and(|rate| gap > rate.hz().into()),
            interval_error,
        });
        let processed = self.link.processed();
        while let Some(&(seq, sent_at)) = self.unanswered.front()
            && processed.0.wrapping_sub(seq.0).cast_signed() >= 0
        {
            self.unanswered.pop_front();
            measures.answered(sent_at, at);
        }
    }

    /// Writes the frames of one tick interval: an input, or now and then an acknowledgement, and
    /// now and then a ping.
    pub(crate) fn play(&mut self, due: Micros, now: impl Fn() -> Micros, measures: &mut Measures) {
        let Some(player) = self.player.as_mut().filter(|_| self.absence.is_none()) else { return };
        let (link, outgoing) = (&mut self.link, &mut self.outgoing);
        if let Some(Seated { seat, brain, values }) = &mut player.seated
            && let (Some(applied), Some(rows)) = (link.applied(), link.rows())
        {
            let clock = link.clock();
            let others = self.others.as_mut().zip(clock).and_then(|(others, clock)| {
                let view = others.view(clock, now())?;
                Some((view.from.1, view.moment()))
            });
            let rows = others.map_or(rows, |(rows, _)| rows);
            let view = View { seat: *seat, rows, owner: link.owner() };
            brain.decide(&view, values);
            if let Some((_, moment)) = others {
                link.set_seen(moment);
            }
            // Bots don't predict: an input for a past tick is applied as soon as possible.
            let write = |payload: &mut Vec<u8>| link.write_input(applied, values, payload);
            if let Some(seq) = outgoing.binary(write) {
                let sent_at = now();
                self.unanswered.push_back((seq, sent_at));
                measures.sent(sent_at, sent_at.since(due));
            }
        }
        if player.seated.is_none() {
            if player.sends_until_ack == 0 {
                player.sends_until_ack = player.rate.ticks_in(ACK_INTERVAL);
                outgoing.binary(|payload| link.write_ack(payload));
            }
            player.sends_until_ack -= 1;
        }
        if player.sends_until_ping == 0 {
            player.sends_until_ping = player.rate.ticks_in(PING_INTERVAL);
            outgoing.binary(|payload| link.write_ping(now(), payload));
        }
        player.sends_until_ping -= 1;
    }

    /// Whether an input of the window still waits for its snapshot.
    pub(crate) fn awaits_answer(&self, measures: &Measures) -> bool {
        self.unanswered.front().is_some_and(|&(_, sent_at)| measures.counts(sent_at))
    }

    /// Counts unanswered inputs with the time that they have waited: leaving them out would hide
    /// the worst latencies.
    pub(crate) fn give_up(&mut self, now: Micros, measures: &mut Measures) {
        for (_, sent_at) in self.unanswered.drain(..) {
            measures.answered(sent_at, now);
        }
    }
}

/// Bytes of a server's WebSocket frame before its payload.
const fn head_bytes(payload_bytes: usize) -> usize {
    match payload_bytes {
        0..=125 => 2,
        126..=0xFFFF => 4,
        _ => 10,
    }
}
