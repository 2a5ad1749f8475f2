//! The handover: what a server that ends leaves to the one that is started next, in a file.
//!
//! The file has the players' resume tokens, so only its owner may read it. It is renamed when it is
//! taken, before its matches run: a match that ends its server does so only once.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tickwire_shared::state;

use crate::{config::ConfigError, matches::SavedMatch};

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Handover {
    pub(crate) schema_hash: u32,
    pub(crate) next_match: u32,
    pub(crate) next_session: u32,
    /// Ids of tickets that were used, and when they expire, in seconds since 1970.
    pub(crate) used_tickets: Vec<(Box<str>, u64)>,
    pub(crate) matches: Vec<SavedMatch>,
}

impl Handover {
    /// Takes what an earlier server has left, if anything, and checks that this one can do the same.
    pub(crate) fn take(path: &Path) -> Result<Option<Self>, ConfigError> {
        let fail = |error: io::Error| ConfigError::of_file("handover_file", path, &error);
        drop(create(&with_suffix(path, NEW)).map_err(fail)?);
        fs::remove_file(with_suffix(path, NEW)).map_err(fail)?;
        let taken = with_suffix(path, TAKEN);
        match fs::rename(path, &taken) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fail(error)),
        }
        let bytes = fs::read(&taken).map_err(fail)?;
        let read = state::read(&bytes).inspect_err(|error| {
            let file = taken.display();
            tracing::error!(%error, %file, "the handover can't be read: its matches are lost");
        });
        Ok(read.ok())
    }

    /// Leaves it to the next server.
    pub(crate) fn leave(&self, path: &Path) -> io::Result<()> {
        let written = state::write(self).map_err(io::Error::other)?;
        let new = with_suffix(path, NEW);
        let mut file = create(&new)?;
        file.write_all(&written)?;
        file.sync_all()?;
        fs::rename(&new, path)
    }
}

/// Suffix of a file that is being written, and of one whose matches were taken.
const NEW: &str = ".new";
const TAKEN: &str = ".taken";

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}
