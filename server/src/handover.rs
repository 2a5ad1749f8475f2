//! The handover: what a server leaves to the one that is started next, in a file.
//!
//! A running server writes the file every few seconds, so that a crash takes back no more than
//! those; one that is ended writes it at last. The file has the players' resume tokens, so only its
//! owner may read it. It is renamed when it is taken, before its matches run: a match that crashes
//! its server does so only once. Then the next server takes all but the matches from the renamed file.
//!
//! It is a sequence of parts, each after its length in four bytes, little endian: a [`Handover`],
//! then the state of each match.

use std::{
    fmt::Display,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufWriter, ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use serde::{Deserialize, Serialize};
use tickwire_shared::state;

use crate::{config::ConfigError, locks::lock};

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
pub(crate) enum Taken {
    /// There is no file.
    Nothing,
    /// Everything.
    All(Handover, Vec<MatchState>),
    /// A server has taken it before, and ended before it had written another. So many matches are
    /// not tried again.
    Again(Handover, usize),
}

/// The file, which one server at a time may use.
#[derive(Debug)]
pub(crate) struct HandoverFile {
    path: PathBuf,
    /// Of the game that this server runs.
    pub(crate) schema_hash: u32,
    /// The locked file beside it, until the server has ended. One write at a time.
    lock: Mutex<Option<File>>,
}

impl HandoverFile {
    /// Locks the file, and so checks that its folder can be written to.
    pub(crate) fn open(path: &Path, schema_hash: u32) -> Result<Self, ConfigError> {
        let fail = |why: &dyn Display| ConfigError::of_file("handover_file", path, why);
        // Renaming a folder or a device would break whatever else uses it.
        let is_other = |there: fs::Metadata| !there.is_file();
        if path.file_name().is_none() || fs::metadata(path).is_ok_and(is_other) {
            return Err(fail(&"it is not a file"));
        }
        let lock = with_suffix(path, ".lock");
        let opened = OpenOptions::new().write(true).create(true).mode(MODE).open(&lock);
        let lock = opened.map_err(|error| fail(&format!("{}: {error}", lock.display())))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.into(), schema_hash, lock: Mutex::new(Some(lock)) }),
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
        if let Ok(mut locked) = self.lock.try_lock() {
            *locked = None;
        }
    }

    /// Where the file is once it was taken.
    pub(crate) fn taken(&self) -> PathBuf {
        with_suffix(&self.path, ".taken")
    }

    /// Takes what an earlier server has left, if anything.
    pub(crate) fn take(&self) -> io::Result<Taken> {
        let taken = self.taken();
        let is_first = match fs::rename(&self.path, &taken) {
            Ok(()) => true,
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        let bytes = match fs::read(&taken) {
            Err(error) if error.kind() == ErrorKind::NotFound && !is_first => {
                return Ok(Taken::Nothing);
            }
            read => read?,
        };
        let cut_off = || io::Error::new(ErrorKind::UnexpectedEof, "it is cut off");
        let mut parts = split(&bytes).ok_or_else(cut_off)?.into_iter();
        let first = parts.next().ok_or_else(cut_off)?;
        let handover = state::read(first).map_err(io::Error::other)?;
        Ok(if is_first {
            Taken::All(handover, parts.map(|part| Arc::new(part.to_vec())).collect())
        } else {
            Taken::Again(handover, parts.len())
        })
    }

    /// Leaves it to the next server, unless it `is_stale` by the time that an earlier write is done.
    pub(crate) fn write(
        &self,
        handover: &Handover,
        matches: &[MatchState],
        is_stale: impl FnOnce() -> bool,
    ) -> io::Result<()> {
        let locked = lock(&self.lock);
        if locked.is_none() || is_stale() {
            return Ok(());
        }
        let head = state::write(handover).map_err(io::Error::other)?;
        let new = with_suffix(&self.path, ".new");
        // One that is there may be readable for others.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&new)?;
        let mut file = BufWriter::new(file);
        for part in std::iter::once(&head).chain(matches.iter().map(AsRef::as_ref)) {
            let length = u32::try_from(part.len()).map_err(io::Error::other)?;
            file.write_all(&length.to_le_bytes())?;
            file.write_all(part)?;
        }
        file.into_inner()?.sync_all()?;
        fs::rename(&new, &self.path)?;
        // Without this, after a power cut the earlier file may be back.
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
    }
}

/// The parts of a file; `None` if it is cut off.
fn split(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut parts = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk()?;
        let (part, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        parts.push(part);
        bytes = rest;
    }
    Some(parts)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
