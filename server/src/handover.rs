//! The handover: what a server leaves to the one that is started next, in a file.
//!
//! A running server writes the file every few seconds, so that a crash takes back no more than
//! those; one that is ended writes it at last. The file has the players' resume tokens, so only its
//! owner may read it.
//!
//! A takeover is *proved* once every match has run for a while and is saved again. Until then the
//! file that was taken is called `.trying`, afterwards `.taken`. So a server that finds `.trying`
//! knows that the one before has crashed or hung, maybe because of a match. It restores them in a
//! [`Trial`], which finds the match. After each trial that is not proved, one match more is left out,
//! or, if none was being called at its end, all are: so trials come to an end.
//!
//! It is a sequence of [parts]: a [`Handover`], then the state of each match.

mod trial;

use std::{
    fmt::Display,
    fs::{self, File, Metadata, OpenOptions, TryLockError},
    io::{self, BufWriter, ErrorKind},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, Weak},
};

use serde::{Deserialize, Serialize};
use tickwire_shared::{ids::MatchId, state};

use crate::{config::ConfigError, locks::lock, parts};
pub(crate) use trial::Trial;
use trial::Verdict;

/// The files' mode: they have resume tokens.
const MODE: u32 = 0o600;

/// What is not of a single match.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Handover {
    pub(crate) schema_hash: u32,
    pub(crate) next_match: u32,
    pub(crate) next_session: u32,
    /// Ids of tickets that were used, and when they expire, in seconds since 1970.
    pub(crate) used_tickets: Vec<(Box<str>, u64)>,
}

/// A match as [`Match::save`](crate::matches::Match::save) has written it; copies share it.
pub(crate) type MatchState = Arc<Vec<u8>>;

/// What an earlier server has left.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) contents: io::Result<(Handover, Vec<MatchState>)>,
    pub(crate) attempt: Attempt,
}

/// How its matches are to be restored.
#[derive(Debug)]
pub(crate) enum Attempt {
    /// All at once.
    AllAtOnce,
    /// In a trial, if it could begin, without the matches that earlier ones have found.
    Trial(Weak<Trial>, Vec<MatchId>),
    /// Not at all: a trial was not proved, although no match was being called at its end.
    Nothing,
}

/// What a server saves in the file.
#[derive(Debug)]
pub(crate) struct Save {
    pub(crate) states: Vec<MatchState>,
    /// Whether this proves the takeover.
    pub(crate) is_proof: bool,
    /// Whether the server has ended.
    pub(crate) is_final: bool,
}

/// The file, which one server at a time may use.
#[derive(Debug)]
pub(crate) struct HandoverFile {
    path: PathBuf,
    /// Of the game that this server runs.
    pub(crate) schema_hash: u32,
    /// `None` once another server may have the file. One write at a time.
    held: Mutex<Option<Held>>,
}

/// What a server holds until it has ended.
#[derive(Debug)]
struct Held {
    /// The locked file beside it.
    _lock: File,
    /// Whether what was taken, if anything, has run for a while.
    is_proved: bool,
    /// Lasts until then.
    trial: Option<Arc<Trial>>,
}

impl HandoverFile {
    /// Locks the file, and so checks that its folder can be written to.
    pub(crate) fn open(path: &Path, schema_hash: u32) -> Result<Self, ConfigError> {
        let fail = |why: &dyn Display| ConfigError::of_file("handover_file", path, why);
        let there = fs::symlink_metadata(path);
        // A save would put a file in its place, and leave the one that it points to as it is.
        if there.as_ref().is_ok_and(Metadata::is_symlink) {
            return Err(fail(&"it is a symbolic link; name the file that it points to"));
        }
        // Renaming a folder or a device would break whatever else uses it.
        if path.file_name().is_none() || there.is_ok_and(|there| !there.is_file()) {
            return Err(fail(&"it is not a file"));
        }
        let lock = with_suffix(path, ".lock");
        let opened = OpenOptions::new().write(true).create(true).mode(MODE).open(&lock);
        let lock = opened.map_err(|error| fail(&format!("{}: {error}", lock.display())))?;
        match lock.try_lock() {
            Ok(()) => {
                let held = Held { _lock: lock, is_proved: true, trial: None };
                Ok(Self { path: path.into(), schema_hash, held: Mutex::new(Some(held)) })
            }
            Err(TryLockError::WouldBlock) => Err(fail(&"another server is running with it")),
            Err(TryLockError::Error(error)) => Err(fail(&error)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Lets another server have the file, unless it is just being written. Connections of this one
    /// may live on for longer.
    pub(crate) fn release(&self) {
        if let Ok(mut held) = self.held.try_lock() {
            *held = None;
        }
    }

    /// Where the file is once the takeover is proved.
    pub(crate) fn taken(&self) -> PathBuf {
        with_suffix(&self.path, ".taken")
    }

    /// Where it is until then.
    fn trying(&self) -> PathBuf {
        with_suffix(&self.path, ".trying")
    }

    /// The file of a trial.
    fn called(&self) -> PathBuf {
        with_suffix(&self.path, ".called")
    }

    /// Takes what an earlier server has left, if anything. If that fails, all of it is still there.
    pub(crate) fn take(&self) -> Result<Option<Taken>, ConfigError> {
        let mut held = lock(&self.held);
        let Some(held) = &mut *held else { return Ok(None) };
        let (trying, called) = (self.trying(), self.called());
        let fail = |at: &Path, error| {
            let why = format!("{}: {error}", at.display());
            ConfigError::of_file("handover_file", &self.path, &why)
        };
        let read = |path: &Path| read_if_there(path).map_err(|error| fail(path, error));
        let (new, tried) = (read(&self.path)?, read(&trying)?);
        let verdict = Trial::last(&called).map_err(|error| fail(&called, error))?;
        let attempt = match (&tried, verdict) {
            (None, _) => {
                remove_if_there(&called).map_err(|error| fail(&called, error))?;
                Attempt::AllAtOnce
            }
            (Some(_), Some(Verdict { called: None, .. })) if new.is_none() => Attempt::Nothing,
            (Some(_), verdict) => {
                let Verdict { called: last, mut found } = verdict.unwrap_or_default();
                found.extend(last);
                let trial = match Trial::begin(&called, &found) {
                    Ok(begun) => Arc::downgrade(held.trial.insert(Arc::new(begun))),
                    // The disk may be full. Most likely no match is at fault.
                    Err(error) => {
                        let file = called.display();
                        tracing::error!(%error, %file, "can't note which match runs: all run at once");
                        Weak::new()
                    }
                };
                Attempt::Trial(trial, found)
            }
        };
        if new.is_some() {
            fs::rename(&self.path, &trying).map_err(|error| fail(&trying, error))?;
        }
        let Some(bytes) = new.or(tried) else { return Ok(None) };
        held.is_proved = false;
        Ok(Some(Taken { contents: parse(&bytes), attempt }))
    }

    /// Saves it for the next server, unless it `is_stale` by the time that an earlier write is done.
    pub(crate) fn write(
        &self,
        handover: &Handover,
        save: &Save,
        is_stale: impl FnOnce() -> bool,
    ) -> io::Result<()> {
        let mut held = lock(&self.held);
        let Some(held) = held.as_mut().filter(|_| !is_stale()) else { return Ok(()) };
        let proves = save.is_proof && !held.is_proved;
        if proves {
            // Also if the disk is full: a trial slows the server down.
            held.trial = None;
            remove_if_there(&self.called())?;
        }
        let head = state::write(handover).map_err(io::Error::other)?;
        let new = with_suffix(&self.path, ".new");
        // One that is there may be readable for others.
        remove_if_there(&new)?;
        let written = write_parts(&new, &head, &save.states).inspect_err(|_| {
            // It may have filled the disk.
            let _ = fs::remove_file(&new);
        });
        written?;
        fs::rename(&new, &self.path)?;
        // Without this, after a power cut the earlier file may be back.
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()?;
        if proves {
            fs::rename(self.trying(), self.taken())?;
            held.is_proved = true;
        }
        Ok(())
    }
}

fn parse(mut bytes: &[u8]) -> io::Result<(Handover, Vec<MatchState>)> {
    let mut next = || parts::read(&mut bytes, u32::MAX);
    let head = next()?.ok_or(ErrorKind::UnexpectedEof)?;
    let handover = state::read(&head).map_err(io::Error::other)?;
    let mut states = Vec::new();
    while let Some(state) = next()? {
        states.push(Arc::new(state));
    }
    Ok((handover, states))
}

/// Writes a file that is not there yet, to the disk.
fn write_parts(path: &Path, head: &Vec<u8>, states: &[MatchState]) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)?;
    let mut file = BufWriter::new(file);
    for part in std::iter::once(head).chain(states.iter().map(AsRef::as_ref)) {
        parts::write(part, &mut file)?;
    }
    file.into_inner()?.sync_all()
}

fn read_if_there(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
