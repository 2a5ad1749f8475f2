//! Reloads certificates and keys when their files change.

use std::{
    os::unix::fs::MetadataExt,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, SystemTime},
};

use crate::config::ConfigError;

/// How often the files are checked for changes.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// Calls `read` whenever one of the files has changed, and `take` with the result. An error is
/// logged, and the old value stays in use; `is_stale` is set for as long. Never returns.
pub(crate) async fn reload_changed<T>(
    what: &str,
    files: &[&Path],
    is_stale: &AtomicBool,
    read: impl Fn() -> Result<T, ConfigError>,
    take: impl Fn(T),
) {
    let versions = || files.iter().map(version_of).collect::<Vec<_>>();
    let (mut seen, mut fault) = (versions(), None);
    loop {
        tokio::time::sleep(CHECK_INTERVAL).await;
        let changed = versions();
        let loaded = if changed == seen { Ok(None) } else { read().map(Some) };
        is_stale.store(loaded.is_err(), Ordering::Relaxed);
        match loaded {
            Ok(new) => {
                (seen, fault) = (changed, None);
                new.into_iter().for_each(&take);
            }
            // Tried again next time: the files may be half written, or not readable yet.
            Err(error) if fault.as_ref() != Some(&error) => {
                tracing::error!(%error, "can't reload: the old {what} stays in use");
                fault = Some(error);
            }
            Err(_) => {}
        }
    }
}

/// What tells a file from its successor: modification time, inode and size. The time alone does not,
/// where images set it to a fixed one.
fn version_of(path: &&Path) -> Option<(SystemTime, u64, u64)> {
    let file = std::fs::metadata(path).ok()?;
    Some((file.modified().ok()?, file.ino(), file.len()))
}

#[cfg(test)]
mod tests {
    use std::{fs, time::UNIX_EPOCH};

    use super::*;

    #[test]
    fn a_file_of_the_same_age_is_another_version() {
        let folder = std::env::temp_dir().join(format!("tickwire-reload-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).unwrap();
            fs::File::options().write(true).open(&path).unwrap().set_modified(UNIX_EPOCH).unwrap();
            path
        };
        let path = write("key", "old");
        let before = version_of(&path.as_path());
        assert_eq!(version_of(&path.as_path()), before);
        fs::rename(write("renewed", "new"), &path).unwrap();
        let after = version_of(&path.as_path());
        fs::remove_dir_all(&folder).unwrap();
        assert!(before.is_some() && after.is_some() && after != before, "{after:?}");
    }
}
