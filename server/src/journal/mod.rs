//! The journal: all that the game of a match is told, in a file, so that the match can be played
//! again: to find a fault, to see what players did, or to try new rules on old matches.
//!
//! A game is deterministic, so the options that it was made with, and what it is told from then on, are
//! enough. A digest of its rows, once a second, tells whether it goes the same way again.
//!
//! A journal is a sequence of [parts]: a [`Head`], then one [`Told`] after another. If the server is killed, up to a second is missing at the end.

mod files;
mod replay;

use std::{borrow::Cow, ops::Deref};

use serde::{Deserialize, Serialize};
use tickwire_shared::{
    game::{Game, Input, MatchOptions, Step},
    ids::{MatchId, Seat, Tick},
    rows::Rows,
    schema::Schema,
    state,
    time::{Moment, TickRate, UnixMillis},
    wire::schema_hash,
};

use crate::parts;
use files::JournalFile;
pub(crate) use files::Journals;
pub(crate) use replay::{Replay, verify};

/// The format of journals.
const VERSION: u32 = 1;

/// How a match begins.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Head {
    version: u32,
    game: String,
    schema_hash: u32,
    match_id: MatchId,
    begun: UnixMillis,
    seed: u64,
    seats: u16,
    npcs: u16,
    tick_rate: TickRate,
    mode: String,
    /// The tick before the first step.
    tick: Tick,
    /// The state of the game, if an earlier server has begun the match; `None` once it is read.
    state: Option<serde_bytes::ByteBuf>,
}

/// What a game is told.
#[derive(Debug, Serialize, Deserialize)]
enum Told<'a> {
    /// A player takes a seat, with this data from the ticket.
    Join(Seat, Cow<'a, [i32]>),
    /// A seat becomes free.
    Leave(Seat),
    /// An operator sends a signal.
    Signal(Cow<'a, [i32]>),
    /// To compute the next tick. There are the inputs that differ from those of the step before, all
    /// of which were the default before the first: the seats, the values of each, and how long before
    /// the tick each player saw the match, in 256ths of a tick, if known.
    Step(Cow<'a, [Seat]>, Cow<'a, [i32]>, Cow<'a, [Option<u32>]>),
    /// Nothing: this was the digest of its rows after the last step.
    Rows(u32),
    /// A player has lost the connection.
    Away(Seat),
    /// A player is connected again.
    Back(Seat),
}

/// A game, with the journal of all that it is told.
pub(crate) struct Journaled<G> {
    game: G,
    journal: Option<Journal>,
}

/// The journal of a match.
#[derive(Debug)]
struct Journal {
    file: JournalFile,
    /// Parts that are not on their way to the file yet.
    parts: Vec<u8>,
    /// By seat: the values of the last inputs, and how long before the tick they were made.
    values: Vec<i32>,
    behind: Vec<Option<u32>>,
    /// What differs in this step.
    changed: (Vec<Seat>, Vec<i32>, Vec<Option<u32>>),
    /// One input.
    input: Vec<i32>,
}

impl<G: Game> Journaled<G> {
    /// A game without a journal.
    #[cfg(test)]
    pub(crate) const fn not(game: G) -> Self {
        Self { game, journal: None }
    }

    /// A game that was made with these options, or, if an earlier server has begun the match, read
    /// from its state as of `tick`. Without `journals`, it has no journal.
    pub(crate) fn new(
        game: G,
        options: &MatchOptions,
        match_id: MatchId,
        begun: UnixMillis,
        (tick, state): (Tick, Option<Vec<u8>>),
        journals: Option<&Journals>,
    ) -> Self {
        let journal = journals.map(|journals| {
            let schema = G::schema();
            let &MatchOptions { seed, seats, npcs, tick_rate, mode } = options;
            let head = Head {
                version: VERSION,
                schema_hash: schema_hash(&schema),
                match_id,
                begun,
                seed,
                seats,
                npcs,
                tick_rate,
                mode: mode.to_owned(),
                tick,
                state: state.map(serde_bytes::ByteBuf::from),
                game: schema.game.clone(),
            };
            Journal::begin::<G::Input>(&head, &schema, journals)
        });
        Self { game, journal }
    }

    pub(crate) fn join(&mut self, seat: Seat, data: &[i32]) {
        self.tell(&Told::Join(seat, data.into()));
        self.game.join_with(seat, data);
    }

    pub(crate) fn leave(&mut self, seat: Seat) {
        self.tell(&Told::Leave(seat));
        self.game.leave(seat);
    }

    pub(crate) fn away(&mut self, seat: Seat) {
        self.tell(&Told::Away(seat));
        self.game.away(seat);
    }

    pub(crate) fn back(&mut self, seat: Seat) {
        self.tell(&Told::Back(seat));
        self.game.back(seat);
    }

    pub(crate) fn signal(&mut self, values: &[i32]) {
        self.tell(&Told::Signal(values.into()));
        self.game.signal(values);
    }

    /// Runs a step, with inputs whose players saw the match at these moments.
    pub(crate) fn step(&mut self, step: &mut Step<'_, G::Input>, seen: &[Option<Moment>]) {
        if let Some(journal) = &mut self.journal {
            journal.step(step.tick, step.inputs, seen);
        }
        self.game.step(step);
    }

    /// Writes what it was told to the file, with the rows of the newest tick. Call this once a
    /// second. Returns whether the journal is lost, once.
    pub(crate) fn write_journal(&mut self, rows: &Rows) -> bool {
        let Some(journal) = &mut self.journal else { return false };
        journal.tell(&Told::Rows(rows.digest()));
        journal.flush();
        let is_lost = journal.file.is_lost();
        if is_lost {
            self.journal = None;
        }
        is_lost
    }

    fn tell(&mut self, told: &Told<'_>) {
        if let Some(journal) = &mut self.journal {
            journal.tell(told);
        }
    }
}

/// For what does not change the game.
impl<G> Deref for Journaled<G> {
    type Target = G;

    fn deref(&self) -> &G {
        &self.game
    }
}

impl Journal {
    fn begin<I: Input>(head: &Head, schema: &Schema, journals: &Journals) -> Self {
        let (seats, mut input) = (usize::from(head.seats), vec![0; schema.input.len()]);
        I::default().write_values(&mut input);
        let mut journal = Self {
            file: journals.create(head.match_id, head.begun),
            parts: Vec::new(),
            values: input.repeat(seats),
            behind: vec![None; seats],
            changed: (Vec::new(), Vec::new(), Vec::new()),
            input,
        };
        push(head, &mut journal.parts);
        journal.flush();
        journal
    }

    fn step<I: Input>(&mut self, tick: Tick, inputs: &[I], seen: &[Option<Moment>]) {
        let Self { values, behind, changed: (seats, new_values, new_behind), input, .. } = self;
        seats.clear();
        new_values.clear();
        new_behind.clear();
        let len = input.len();
        for (seat, (new, seen)) in inputs.iter().zip(seen).enumerate() {
            new.write_values(input);
            let values = &mut values[seat * len..][..len];
            let since = |seen| Moment::from(tick).since(seen).clamp(0, u32::MAX.into()) as u32;
            let since = seen.map(since);
            if *values != *input || behind[seat] != since {
                values.copy_from_slice(input);
                behind[seat] = since;
                seats.push(Seat(seat as u16));
                new_values.extend_from_slice(input);
                new_behind.push(since);
            }
        }
        let told = Told::Step((&**seats).into(), (&**new_values).into(), (&**new_behind).into());
        push(&told, &mut self.parts);
    }

    fn tell(&mut self, told: &Told<'_>) {
        push(told, &mut self.parts);
    }

    fn flush(&mut self) {
        if !self.parts.is_empty() {
            self.file.append(std::mem::take(&mut self.parts));
        }
    }
}

/// Also when the game has panicked: what it was told last is what matters then.
impl Drop for Journal {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Appends a part.
fn push(part: &impl Serialize, to: &mut Vec<u8>) {
    let part = state::write(part).expect("its types have encodings");
    parts::write(&part, to).expect("memory takes all, and no state has 4 GiB");
}

#[cfg(test)]
mod tests;
