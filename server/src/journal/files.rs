//! The files of journals, which a thread of their own writes, so that a slow disk delays no tick.

use std::{
    fmt::Display,
    fs::OpenOptions,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
};

use rustix::fs::{Access, access};
use tickwire_shared::{ids::MatchId, time::UnixMillis};

use crate::{StartError, THREAD, config::ConfigError};

/// Writes that may wait for a slow disk; a match makes one a second. The journal of the next one is
/// lost.
const WRITES_MAX: usize = 4_096;
/// The files' mode: a journal tells what no player may know during the match.
const MODE: u32 = 0o600;

/// Makes the files of all matches, in one folder.
#[derive(Clone, Debug)]
pub(crate) struct Journals {
    folder: Arc<Path>,
    writes: SyncSender<Append>,
}

/// The file of one match's journal.
#[derive(Debug)]
pub(super) struct JournalFile {
    file: Arc<Shared>,
    is_created: bool,
    writes: SyncSender<Append>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    match_id: MatchId,
    /// Whether something could not be written, so that nothing after it is.
    is_lost: AtomicBool,
}

/// Bytes for the end of a file.
#[derive(Debug)]
struct Append {
    file: Arc<Shared>,
    is_first: bool,
    bytes: Vec<u8>,
}

impl Journals {
    /// Starts the thread, which ends with the last journal.
    pub(crate) fn start(folder: &Path) -> Result<(Self, JoinHandle<()>), StartError> {
        let fail = |why: &dyn Display| ConfigError::of_file("journal_folder", folder, why);
        if !folder.is_dir() {
            return Err(fail(&"it is not a folder").into());
        }
        access(folder, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| fail(&error))?;
        let (writes, orders) = sync_channel(WRITES_MAX);
        let thread = std::thread::Builder::new().name("journals".into());
        let thread = thread.spawn(move || write_all(&orders));
        let thread = thread.map_err(|error| StartError::System(THREAD, error))?;
        Ok((Self { folder: folder.into(), writes }, thread))
    }

    /// The file of a match that begins now.
    pub(super) fn create(&self, match_id: MatchId, begun: UnixMillis) -> JournalFile {
        let name = format!("match-{}-{}.journal", match_id.0, begun.0);
        let path = self.folder.join(name);
        let file = Arc::new(Shared { path, match_id, is_lost: AtomicBool::new(false) });
        JournalFile { file, is_created: false, writes: self.writes.clone() }
    }
}

impl JournalFile {
    /// Has the thread append bytes.
    pub(super) fn append(&mut self, bytes: Vec<u8>) {
        if self.is_lost() {
            return;
        }
        let is_first = !std::mem::replace(&mut self.is_created, true);
        let append = Append { file: Arc::clone(&self.file), is_first, bytes };
        if self.writes.try_send(append).is_err() {
            self.file.lose(&"too many writes wait for the disk");
        }
    }

    /// Whether something could not be written.
    pub(super) fn is_lost(&self) -> bool {
        self.file.is_lost.load(Ordering::Relaxed)
    }
}

fn write_all(appends: &Receiver<Append>) {
    for append in appends {
        let file = &append.file;
        if !file.is_lost.load(Ordering::Relaxed)
            && let Err(error) = append.write()
        {
            file.lose(&error);
        }
    }
}

impl Append {
    fn write(&self) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.append(true).create_new(self.is_first).mode(MODE);
        options.open(&self.file.path)?.write_all(&self.bytes)
    }
}

impl Shared {
    /// Ends a journal of which something could not be written.
    fn lose(&self, why: &dyn Display) {
        self.is_lost.store(true, Ordering::Relaxed);
        let (match_id, file) = (self.match_id.0, self.path.display());
        tracing::error!(match_id, %file, %why, "a journal ends here: it can't be written");
    }
}
