//! Playing a match again from its journal: as fast as it goes, or for spectators to watch.

use std::{
    fs::File,
    io::{self, BufReader, ErrorKind, Read, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Instant,
};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned, de::Error as _,
    ser::Error as _,
};
use tickwire_shared::{
    declaration::schema_of,
    game::{Audience, Event, Events, Game, Input, MatchOptions, Step},
    history::History,
    ids::{Seat, Tick},
    replica::Rewind,
    rows::Rows,
    schema::Schema,
    state,
    time::Moment,
    wire::schema_hash,
};

use super::{Head, LENGTH_BYTES, Told, VERSION};
use crate::config::{Config, ConfigError};

/// Longest part of a journal: the state of a large game.
const PART_BYTES_MAX: u32 = 1 << 30;

/// Why a journal can't be played.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplayError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it is not a journal, or damaged: {0}")]
    Damaged(String),
    #[error("it is of the game {0}, and this is {1}")]
    OtherGame(String, String),
    #[error("it was written before the game's schema changed: play it with the build of that time")]
    OtherSchema,
    #[error("it ends at tick {}", .0.0)]
    Ended(Tick),
}

/// A match that is played again.
struct Played<G: Game> {
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
    fn open(path: &Path) -> Result<Self, ReplayError> {
        let mut parts = Parts(BufReader::new(File::open(path)?));
        let schema = schema_of::<G>().map_err(|error| ReplayError::Damaged(error.to_string()))?;
        let head = parts.next::<Head>()?;
        let head = head.filter(|head| head.version == VERSION);
        let head = head.ok_or_else(|| ReplayError::Damaged("its head is missing".into()))?;
        if head.game != schema.game {
            return Err(ReplayError::OtherGame(head.game, schema.game));
        }
        let mode = match &*head.mode {
            "" => Some(""),
            mode => G::MODES.iter().copied().find(|known| *known == mode),
        };
        let Some(mode) = mode.filter(|_| head.schema_hash == schema_hash(&schema)) else {
            return Err(ReplayError::OtherSchema);
        };
        let &Head { seed, seats, npcs, tick_rate, tick, .. } = &head;
        let game = match &head.state {
            Some(state) => {
                state::read(state).map_err(|error| ReplayError::Damaged(error.to_string()))?
            }
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

    /// Plays the next part.
    fn next(&mut self) -> Result<Next, ReplayError> {
        match self.parts.next::<Told<'_>>()? {
            None => return Ok(Next::End),
            Some(Told::Join(seat, data)) => self.game.join_with(seat, &data),
            Some(Told::Leave(seat)) => self.game.leave(seat),
            Some(Told::Signal(values)) => self.game.signal(&values),
            Some(Told::Step(seats, values, behind)) => {
                self.step(&seats, &values, &behind)?;
                return Ok(Next::Ticked);
            }
            Some(Told::Rows(digest)) => {
                return Ok(Next::Checked(self.rows().is_some_and(|rows| rows.digest() == digest)));
            }
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
            return Err(ReplayError::Damaged("inputs are missing".into()));
        }
        self.tick = self.tick.plus(1);
        // Those who have not moved in time are as far behind in this tick, too.
        for seen in self.seen.iter_mut().flatten() {
            *seen = seen.plus(256);
        }
        for (index, (seat, behind)) in seats.iter().zip(behind).enumerate() {
            let seat = seat.index();
            if seat >= self.inputs.len() {
                return Err(ReplayError::Damaged("it has no such seat".into()));
            }
            self.inputs[seat] = G::Input::from_values(&values[index * len..][..len]);
            self.seen[seat] = behind.map(|behind| before(self.tick, behind));
        }
        self.events.clear();
        self.game.step(&mut Step {
            tick: self.tick,
            inputs: &self.inputs,
            past: Rewind::new(&self.history, &self.seen, self.tick, self.head.tick_rate),
            events: &mut self.events,
        });
        self.game.write_rows(self.history.push(self.tick));
        Ok(())
    }

    /// The rows of the newest tick.
    fn rows(&self) -> Option<&Rows> {
        self.history.rows(self.tick)
    }
}

/// So many 256ths of a tick before `tick`.
fn before(tick: Tick, behind: u32) -> Moment {
    let ticks = behind.div_ceil(256);
    Moment { tick: tick.minus(ticks), part: 0 }.plus(ticks * 256 - behind)
}

/// The parts of a journal.
struct Parts(BufReader<File>);

impl Parts {
    /// The next part; `None` at the end, also if it is cut off there.
    fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ReplayError> {
        let mut length = [0; LENGTH_BYTES];
        match self.0.read_exact(&mut length) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        let length = u32::from_le_bytes(length);
        if length > PART_BYTES_MAX {
            return Err(ReplayError::Damaged("a part is too long".into()));
        }
        let mut part = Vec::new();
        self.0.by_ref().take(length.into()).read_to_end(&mut part)?;
        if part.len() < length as usize {
            return Ok(None);
        }
        state::read(&part).map(Some).map_err(|error| ReplayError::Damaged(error.to_string()))
    }
}

/// Plays a match again as fast as it goes, and tells `out` how it went. Returns whether it went the
/// same way.
pub(crate) fn verify<G: Game>(path: &Path, mut out: impl Write) -> Result<bool, ReplayError> {
    let mut played = Played::<G>::open(path)?;
    let Head { game, match_id, seats, tick_rate, tick: begun, .. } = played.head.clone();
    let from = if begun == Tick(0) { String::new() } else { format!(", from tick {}", begun.0) };
    writeln!(out, "{game}, match {}: {seats} seats, {} Hz{from}", match_id.0, tick_rate.hz())?;
    let (start, mut ticks, mut checks) = (Instant::now(), 0_u32, 0_u32);
    let end = loop {
        match catch_unwind(AssertUnwindSafe(|| played.next())) {
            Ok(Ok(Next::Told)) => {}
            Ok(Ok(Next::Ticked)) => ticks += 1,
            Ok(Ok(Next::Checked(true))) => checks += 1,
            Ok(Ok(Next::Checked(false))) => break End::Differs,
            Ok(Ok(Next::End)) => break End::Same,
            Ok(Err(error)) => return Err(error),
            Err(_) => break End::Panicked,
        }
    };
    let (tick, played_s) = (played.tick.0, f64::from(ticks) / f64::from(tick_rate.hz()));
    let faster = played_s / start.elapsed().as_secs_f64();
    writeln!(out, "{ticks} ticks ({played_s:.0} s) played again, {faster:.0} times as fast")?;
    let known = format!("{checks} digests of rows are equal");
    match end {
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

/// The journal that is replayed, and the tick to begin after.
static REPLAYED: OnceLock<(PathBuf, Tick)> = OnceLock::new();

impl<G: Game> Replay<G> {
    /// Has all matches of this process replay this journal, and adapts the settings to it.
    pub(crate) fn prepare(
        path: PathBuf,
        from: Tick,
        config: &mut Config,
    ) -> Result<(), ConfigError> {
        let fail = |error: ReplayError| ConfigError::of_file("watch", &path, &error);
        let Head { tick_rate, seats, .. } = Self::open(&path, from).map_err(fail)?.0.head;
        (config.tick_rate, config.seats) = (tick_rate, seats);
        (config.handover_file, config.journal_folder) = (None, None);
        let _ = REPLAYED.set((path, from));
        tracing::info!("spectators watch the replay at /?match=auto&role=spectator");
        Ok(())
    }

    fn begin() -> Self {
        let (path, from) = REPLAYED.get().expect("it is set before the first match");
        let begun = Self::open(path, *from);
        begun.unwrap_or_else(|error| panic!("can't replay {}: {error}", path.display()))
    }

    fn open(path: &Path, from: Tick) -> Result<Self, ReplayError> {
        let mut played = Played::open(path)?;
        while played.next()? != Next::End {
            if played.tick != played.head.tick && played.tick.since(from) >= 0 {
                return Ok(Self(played));
            }
        }
        Err(ReplayError::Ended(played.tick))
    }
}

impl<G: Game> Game for Replay<G> {
    type Input = G::Input;

    const SCORES: &'static [&'static str] = G::SCORES;
    const MODES: &'static [&'static str] = G::MODES;

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
