//! The files of journals, which a thread of their own writes, so that a slow disk delays no tick.

use std::{
    fmt::Display,
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread::JoinHandle,
};

use rustix::fs::{Access, access};
use tickwire_shared::{ids::MatchId, time::UnixMillis};

use crate::{StartError, THREAD, config::ConfigError};

/// Memory that may wait for a slow disk: a minute of a thousand matches of 16, or the states of as
/// many that are taken over. A journal whose bytes would be more is lost.
const WAITING_BYTES_MAX: usize = 256 << 20;
/// The files' mode: a journal tells what no player may know during the match.
const MODE: u32 = 0o600;

/// Makes the files of all matches, in one folder.
#[derive(Clone, Debug)]
pub(crate) struct Journals {
    folder: Arc<Path>,
    writes: Sender<Append>,
    /// How much waits in `writes`.
    waiting_bytes: Arc<AtomicUsize>,
}

/// The file of one match's journal.
#[derive(Debug)]
pub(super) struct JournalFile {
    file: Arc<Shared>,
    is_created: bool,
    journals: Journals,
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
        if !fs::metadata(folder).map_err(|error| fail(&error))?.is_dir() {
            return Err(fail(&"it is not a folder").into());
        }
        access(folder, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| fail(&error))?;
        let (journals, appends) = Self::new(folder);
        let thread = std::thread::Builder::new().name("journals".into());
        let waiting_bytes = Arc::clone(&journals.waiting_bytes);
        let thread = thread.spawn(move || write_all(&appends, &waiting_bytes));
        let thread = thread.map_err(|error| StartError::System(THREAD, error))?;
        Ok((journals, thread))
    }

    fn new(folder: &Path) -> (Self, Receiver<Append>) {
        let (writes, appends) = channel();
        (Self { folder: folder.into(), writes, waiting_bytes: Arc::default() }, appends)
    }

    /// The file of a match that begins now.
    pub(super) fn create(&self, match_id: MatchId, begun: UnixMillis) -> JournalFile {
        let name = format!("match-{}-{}.journal", match_id.0, begun.0);
        let path = self.folder.join(name);
        let file = Arc::new(Shared { path, match_id, is_lost: AtomicBool::new(false) });
        JournalFile { file, is_created: false, journals: self.clone() }
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
        let (size, Journals { writes, waiting_bytes, .. }) = (append.size(), &self.journals);
        let waiting = waiting_bytes.fetch_add(size, Ordering::Relaxed);
        if waiting + size > WAITING_BYTES_MAX {
            waiting_bytes.fetch_sub(size, Ordering::Relaxed);
            self.file.lose(&"the disk is too slow");
        } else if writes.send(append).is_err() {
            self.file.lose(&"the thread that writes it has ended");
        }
    }

    /// Whether something could not be written.
    pub(super) fn is_lost(&self) -> bool {
        self.file.is_lost.load(Ordering::Relaxed)
    }
}

fn write_all(appends: &Receiver<Append>, waiting_bytes: &AtomicUsize) {
    for append in appends {
        let file = &append.file;
        if !file.is_lost.load(Ordering::Relaxed)
            && let Err(error) = append.write()
        {
            file.lose(&error);
        }
        waiting_bytes.fetch_sub(append.size(), Ordering::Relaxed);
    }
}

impl Append {
    /// The memory that it takes while it waits.
    const fn size(&self) -> usize {
        size_of::<Self>() + self.bytes.capacity()
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_a_slow_disk_is_bounded() {
        let (journals, appends) = Journals::new(Path::new("/nowhere"));
        let [mut large, mut small] = [1, 2].map(|id| journals.create(MatchId(id), UnixMillis(0)));
        (0..9).for_each(|_| large.append(vec![0; WAITING_BYTES_MAX / 8]));
        small.append(vec![0; 64]);
        assert_eq!([&large, &small].map(JournalFile::is_lost), [true, false]);
        assert_eq!(appends.try_iter().count(), 8);
    }
}
