//! Playing a match again from its journal: as fast as it goes, or for spectators to watch.

use std::{
    any::Any,
    fs::File,
    io::{self, BufReader, ErrorKind, Seek, SeekFrom, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock},
    time::Instant,
};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned, de::Error as _,
    ser::Error as _,
};
use tickwire_shared::{
    declaration::{DeclarationError, modes_of, schema_of},
    game::{
        Audience, Event, Events, Game, Input, MatchOptions, SEATS_MAX, SIGNAL_MAX, Step,
        TICKET_DATA_MAX,
    },
    history::History,
    ids::{Seat, Tick},
    replica::Rewind,
    rows::Rows,
    schema::{FIELDS_MAX, Schema},
    state::{self, StateError},
    time::Moment,
    wire::schema_hash,
};

use super::{Head, Told, VERSION};
use crate::{
    config::{Config, ConfigError},
    locks::lock,
    parts,
};

/// Longest head of a journal: it has the state of a large game.
const HEAD_BYTES_MAX: u32 = 1 << 30;
/// Longest of the other parts: a step in which all inputs differ. An integer takes five bytes.
const TOLD_BYTES_MAX: u32 = 64 + SEATS_MAX as u32 * (FIELDS_MAX as u32 + 2) * 5;

/// Why a journal can't be played.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplayError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Game(#[from] DeclarationError),
    #[error("it is not a journal, or damaged: {0}")]
    Damaged(&'static str),
    #[error("another version of Tickwire has written it")]
    OtherVersion,
    #[error("it is of the game {0}, and this is {1}")]
    OtherGame(String, String),
    #[error("it was written before the game's schema changed: play it with the build of that time")]
    OtherSchema,
    #[error("the game can't go on from the match's state: {0}")]
    OtherState(StateError),
    #[error("it is of the mode {0:?}, which the game no longer has")]
    OtherMode(String),
    #[error("it ends at tick {}", .0.0)]
    Ended(Tick),
}

/// A match that is played again.
pub(super) struct Played<G: Game> {
    parts: Parts,
    head: Head,
    schema: Schema,
    game: G,
    tick: Tick,
    inputs: Vec<G::Input>,
    seen: Vec<Option<Moment>>,
    history: History,
    events: Events,
}

/// What the next part of a journal was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Next {
    /// A join, a leave or a signal.
    Told,
    /// A step.
    Ticked,
    /// A digest, and whether it is that of the rows now.
    Checked(bool),
    /// The journal ends.
    End,
}

impl<G: Game> Played<G> {
    pub(super) fn open(path: &Path) -> Result<Self, ReplayError> {
        let mut parts = Parts::open(path)?;
        let schema = schema_of::<G>()?;
        let head = parts.next::<Head>(HEAD_BYTES_MAX)?;
        let mut head = head.ok_or(ReplayError::Damaged("its head is missing"))?;
        if head.version != VERSION {
            return Err(ReplayError::OtherVersion);
        }
        if head.game != schema.game {
            return Err(ReplayError::OtherGame(head.game, schema.game));
        }
        if head.schema_hash != schema_hash(&schema) {
            return Err(ReplayError::OtherSchema);
        }
        let mut modes = modes_of::<G>().iter().copied();
        let Some(mode) = modes.find(|known| *known == head.mode) else {
            return Err(ReplayError::OtherMode(head.mode));
        };
        let &Head { seed, seats, npcs, tick_rate, tick, .. } = &head;
        if !(1..=SEATS_MAX).contains(&seats) {
            return Err(ReplayError::Damaged("no match has so many seats"));
        }
        let game = match head.state.take() {
            Some(state) => state::read(&state).map_err(ReplayError::OtherState)?,
            None => G::new(&MatchOptions { seed, seats, npcs, tick_rate, mode }),
        };
        Ok(Self {
            parts,
            schema,
            game,
            tick,
            inputs: vec![G::Input::default(); seats.into()],
            seen: vec![None; seats.into()],
            history: History::default(),
            events: Events::default(),
            head,
        })
    }

    /// Plays up to a tick, or, without one, to the first.
    pub(super) fn play_to(&mut self, tick: Option<Tick>) -> Result<(), ReplayError> {
        loop {
            match self.next()? {
                Next::Ticked if tick.is_none_or(|tick| self.tick.since(tick) >= 0) => return Ok(()),
                Next::Ticked | Next::Told | Next::Checked(_) => {}
                Next::End => return Err(ReplayError::Ended(self.tick)),
            }
        }
    }

    /// Another of the same match, at the same tick.
    fn copy(&mut self) -> Result<Self, ReplayError> {
        let Self { parts, head, schema, game, tick, inputs, seen, history, events } = self;
        let state = state::write(game).and_then(|state| state::read(&state));
        Ok(Self {
            parts: parts.copy()?,
            head: head.clone(),
            schema: schema.clone(),
            game: state.map_err(ReplayError::OtherState)?,
            tick: *tick,
            inputs: inputs.clone(),
            seen: seen.clone(),
            history: history.clone(),
            events: events.clone(),
        })
    }

    /// Plays the next part.
    fn next(&mut self) -> Result<Next, ReplayError> {
        match self.parts.next::<Told<'_>>(TOLD_BYTES_MAX)? {
            None => return Ok(Next::End),
            Some(Told::Join(seat, data))
                if self.has_seat(seat) && data.len() <= TICKET_DATA_MAX =>
            {
                self.game.join_with(seat, &data);
            }
            Some(Told::Leave(seat)) if self.has_seat(seat) => self.game.leave(seat),
            Some(Told::Away(seat)) if self.has_seat(seat) => self.game.away(seat),
            Some(Told::Back(seat)) if self.has_seat(seat) => self.game.back(seat),
            Some(Told::Signal(values)) if values.len() <= SIGNAL_MAX => self.game.signal(&values),
            Some(Told::Step(seats, values, behind)) => {
                self.step(&seats, &values, &behind)?;
                return Ok(Next::Ticked);
            }
            Some(Told::Rows(digest)) => {
                return Ok(Next::Checked(self.rows().is_some_and(|rows| rows.digest() == digest)));
            }
            Some(_) => return Err(ReplayError::Damaged("no match can be told this")),
        }
        Ok(Next::Told)
    }

    fn step(
        &mut self,
        seats: &[Seat],
        values: &[i32],
        behind: &[Option<u32>],
    ) -> Result<(), ReplayError> {
        let len = self.schema.input.len();
        if behind.len() != seats.len() || values.len() != seats.len() * len {
            return Err(ReplayError::Damaged("inputs are missing"));
        }
        self.tick = self.tick.plus(1);
        // Those who have not moved in time are as far behind in this tick, too.
        for seen in self.seen.iter_mut().flatten() {
            *seen = seen.plus(256);
        }
        for (index, (&seat, behind)) in seats.iter().zip(behind).enumerate() {
            let values = &values[index * len..][..len];
            let mut pairs = self.schema.input.iter().zip(values);
            if !self.has_seat(seat) || !pairs.all(|(integer, &value)| integer.holds(value)) {
                return Err(ReplayError::Damaged("no player can send this input"));
            }
            self.inputs[seat.index()] = G::Input::from_values(values);
            self.seen[seat.index()] = behind.map(|behind| before(self.tick, behind));
        }
        self.events.clear();
        self.game.step(&mut Step {
            tick: self.tick,
            inputs: &self.inputs,
            past: Rewind::new(&self.history, &self.seen, self.tick, self.head.tick_rate),
            events: &mut self.events,
        });
        let rows = self.history.push(self.tick);
        self.game.write_rows(rows);
        let fits =
            self.schema.check_rows(rows).and_then(|()| self.schema.check_events(&self.events));
        // As in the match, it is a fault of the game.
        fits.unwrap_or_else(|misfit| panic!("the game does not keep to its schema: {misfit}"));
        Ok(())
    }

    fn has_seat(&self, seat: Seat) -> bool {
        seat.0 < self.head.seats
    }

    /// The rows of the newest tick.
    fn rows(&self) -> Option<&Rows> {
        self.history.rows(self.tick)
    }
}

/// So many 256ths of a tick before `tick`.
fn before(tick: Tick, behind: u32) -> Moment {
    let ticks = behind.div_ceil(256);
    Moment { tick: tick.minus(ticks), part: 0 }.plus(ticks.wrapping_mul(256).wrapping_sub(behind))
}

/// The parts of a journal.
struct Parts {
    path: PathBuf,
    file: BufReader<File>,
    /// Whether the last part was not whole.
    is_cut: bool,
}

impl Parts {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.into(), file: BufReader::new(File::open(path)?), is_cut: false })
    }

    /// Another, which reads the same parts next.
    fn copy(&mut self) -> io::Result<Self> {
        let mut copy = Self::open(&self.path)?;
        copy.file.seek(SeekFrom::Start(self.file.stream_position()?))?;
        Ok(copy)
    }

    /// The next part; `None` at the end, also if it is cut off there.
    fn next<T: DeserializeOwned>(&mut self, bytes_max: u32) -> Result<Option<T>, ReplayError> {
        let part = match parts::read(&mut self.file, bytes_max) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                self.is_cut = true;
                None
            }
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                return Err(ReplayError::Damaged("a part is too long"));
            }
            part => part?,
        };
        let Some(part) = part else { return Ok(None) };
        state::read(&part).map(Some).map_err(|_| ReplayError::Damaged("a part of it can't be read"))
    }
}

/// Plays a match again as fast as it goes, and tells `out` how it went. Returns whether it went the
/// same way.
pub(crate) fn verify<G: Game>(path: &Path, mut out: impl Write) -> Result<bool, ReplayError> {
    let mut played = Played::<G>::open(path)?;
    let &Head { ref game, match_id, seats, tick_rate, tick: begun, .. } = &played.head;
    let from = if begun == Tick(0) { String::new() } else { format!(", from tick {}", begun.0) };
    writeln!(out, "{game}, match {}: {seats} seats, {} Hz{from}", match_id.0, tick_rate.hz())?;
    let (start, mut ticks, mut checks) = (Instant::now(), 0_u32, 0_u32);
    let end = loop {
        match catch_unwind(AssertUnwindSafe(|| played.next())) {
            Ok(Ok(Next::Told)) => {}
            Ok(Ok(Next::Ticked)) => ticks += 1,
            Ok(Ok(Next::Checked(true))) => checks += 1,
            Ok(Ok(Next::Checked(false))) => break Ok(End::Differs),
            Ok(Ok(Next::End)) => break Ok(End::Same),
            Ok(Err(error)) => break Err(error),
            Err(_) => break Ok(End::Panicked),
        }
    };
    let (tick, played_s) = (played.tick.0, f64::from(ticks) / f64::from(tick_rate.hz()));
    let faster = played_s / start.elapsed().as_secs_f64();
    writeln!(out, "{ticks} ticks ({played_s:.0} s) played again, {faster:.0} times as fast")?;
    let (end, known) = (end?, format!("{checks} digests of rows are equal"));
    match end {
        End::Same if played.parts.is_cut => {
            writeln!(out, "it went the same way, up to where the journal is cut off: {known}")?;
        }
        End::Same => writeln!(out, "it went the same way: {known}")?,
        End::Differs => writeln!(
            out,
            "it went another way by tick {tick}: the rules have changed since, or depend on more \
             than what they are told (before, {known})"
        )?,
        End::Panicked => writeln!(out, "the game panicked at tick {tick} ({known})")?,
    }
    Ok(end == End::Same)
}

/// How a replay ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    Same,
    Differs,
    Panicked,
}

/// A game that plays a match again, over and over, for spectators.
pub(crate) struct Replay<G: Game>(Played<G>);

/// The match as of the tick to begin with: a `Mutex<Played<G>>`.
static BEGINNING: OnceLock<Box<dyn Any + Send + Sync>> = OnceLock::new();

impl<G: Game> Replay<G> {
    /// Has all matches of this process replay this journal, and adapts the settings to it.
    pub(crate) fn prepare(
        path: &Path,
        from: Option<Tick>,
        config: &mut Config,
    ) -> Result<(), ConfigError> {
        let fail = |error: ReplayError| ConfigError::of_file("watch", path, &error);
        let mut played = Played::<G>::open(path).map_err(fail)?;
        played.play_to(from).map_err(fail)?;
        // Whether its state can be copied is said now, not when a match begins.
        let Head { tick_rate, seats, .. } = played.copy().map_err(fail)?.head;
        (config.tick_rate, config.seats) = (tick_rate, seats);
        (config.handover_file, config.journal_folder) = (None, None);
        let _ = BEGINNING.set(Box::new(Mutex::new(played)));
        tracing::info!("spectators watch the replay at /?match=auto&role=spectator");
        Ok(())
    }

    fn begin() -> Self {
        let beginning = BEGINNING.get().and_then(|beginning| beginning.downcast_ref());
        let beginning: &Mutex<Played<G>> = beginning.expect("it is set before the first match");
        let begun = lock(beginning).copy();
        Self(begun.unwrap_or_else(|error| panic!("can't replay the journal: {error}")))
    }
}

impl<G: Game> Game for Replay<G> {
    type Input = G::Input;

    const SCORES: &'static [&'static str] = G::SCORES;

    fn schema() -> Schema {
        G::schema()
    }

    fn new(_: &MatchOptions) -> Self {
        Self::begin()
    }

    fn join(&mut self, _: Seat) {}

    fn leave(&mut self, _: Seat) {}

    fn step(&mut self, step: &mut Step<'_, Self::Input>) {
        loop {
            match self.0.next() {
                Ok(Next::Told | Next::Checked(true)) => {}
                Ok(Next::Checked(false)) => {
                    tracing::warn!(tick = self.0.tick.0, "the replay differs from the match");
                }
                Ok(Next::Ticked) => break,
                Ok(Next::End) => {
                    tracing::info!("the replay begins again");
                    *self = Self::begin();
                    // It has a tick already.
                    break;
                }
                Err(error) => panic!("the journal: {error}"),
            }
        }
        for Event { audience, kind, values } in self.0.events.iter() {
            match audience {
                Audience::All => step.events.all(kind, values),
                Audience::Seat(seat) => step.events.seat(seat, kind, values),
            }
        }
    }

    fn write_rows(&self, rows: &mut Rows) {
        if let Some(now) = self.0.rows() {
            rows.copy_from(now);
        }
    }

    /// There are only spectators.
    fn removes(&self, _: Seat) -> bool {
        true
    }

    fn write_score(&self, seat: Seat, values: &mut [i32]) {
        self.0.game.write_score(seat, values);
    }
}

/// A replay is never handed over.
impl<G: Game> Serialize for Replay<G> {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("a replay has no state"))
    }
}

impl<'de, G: Game> Deserialize<'de> for Replay<G> {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom("a replay has no state"))
    }
}
