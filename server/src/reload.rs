//! Reloads certificates and keys when their files change.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use crate::config::ConfigError;

/// How often the files' modification times are checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// Calls `read` whenever one of the files has changed, and `take` with the result. An error is
/// logged, and the old value stays in use. Never returns.
pub(crate) async fn reload_changed<T>(
    what: &str,
    files: &[&Path],
    read: impl Fn() -> Result<T, ConfigError>,
    take: impl Fn(T),
) {
    let (mut seen, mut fault) = (changed_at(files), None);
    loop {
        tokio::time::sleep(CHECK_INTERVAL).await;
        let changed = changed_at(files);
        if changed == seen {
            continue;
        }
        match read() {
            Ok(new) => {
                (seen, fault) = (changed, None);
                take(new);
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

fn changed_at(files: &[&Path]) -> Vec<Option<SystemTime>> {
    let at = |file: &&Path| std::fs::metadata(file).and_then(|found| found.modified()).ok();
    files.iter().map(at).collect()
}
