//! A trial: finds the match that crashes the server once it is restored, or hangs.
//!
//! While it lasts, one match at a time is called, over all shards, and a file says which. It
//! survives the process, so the next server knows which match was being called, and leaves it out.
//!
//! The file is a sequence of match ids of four bytes, little endian: the match that is being called,
//! or 0; then those that earlier trials have found. It is not synced: a trial is about crashes of the
//! process, not of the machine.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
    sync::Mutex,
};

use tickwire_shared::ids::MatchId;

use super::{MODE, read_if_there};
use crate::locks::lock;

/// See the module.
#[derive(Debug)]
pub(crate) struct Trial {
    file: Mutex<File>,
}

/// What an earlier trial has come to.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Verdict {
    /// The match that was being called when the server ended.
    pub(super) called: Option<MatchId>,
    /// Those that were found before.
    pub(super) found: Vec<MatchId>,
}

/// No match: ids begin at 1.
const NONE: [u8; 4] = [0; 4];

impl Trial {
    /// Begins a trial without the matches that were found.
    pub(super) fn begin(path: &Path, found: &[MatchId]) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        // The list only grows, and so needs no space on a disk that has become full.
        let file = options.write(true).create(true).truncate(false).mode(MODE).open(path)?;
        let ids = found.iter().map(|id| id.0.to_le_bytes());
        let ids: Vec<_> = std::iter::once(NONE).chain(ids).flatten().collect();
        file.write_all_at(&ids, 0)?;
        Ok(Self { file: Mutex::new(file) })
    }

    /// What the last trial has come to; `None` if there was none, or it could not begin.
    pub(super) fn last(path: &Path) -> io::Result<Option<Verdict>> {
        let Some(bytes) = read_if_there(path)? else { return Ok(None) };
        let (ids, _) = bytes.as_chunks();
        let mut ids = ids.iter().map(|id| MatchId(u32::from_le_bytes(*id)));
        let Some(called) = ids.next() else { return Ok(None) };
        let called = Some(called).filter(|id| id.0 != 0);
        Ok(Some(Verdict { called, found: ids.collect() }))
    }

    /// Calls a match, once no other is being called.
    pub(crate) fn call<T>(&self, id: MatchId, call: impl FnOnce() -> T) -> T {
        let file = lock(&self.file);
        // If that fails, it is only not known which match was at fault.
        let _ = file.write_all_at(&id.0.to_le_bytes(), 0);
        let returned = call();
        let _ = file.write_all_at(&NONE, 0);
        returned
    }
}
