//! What is read from files, and read anew when they change: certificates and keys.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use crate::config::ConfigError;

/// How often files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// Reads a `what` anew whenever one of its files has changed, for ever. What can't be used is
/// logged, and what was read before stays.
pub(crate) async fn reload_changed<T>(
    what: &str,
    files: &[&Path],
    read: impl Fn() -> Result<T, ConfigError>,
    take: impl Fn(T),
) {
    let (mut seen, mut fault) = (changed_at(files), None);
    loop {
        tokio::time::sleep(LOOK_INTERVAL).await;
        let changed = changed_at(files);
        if changed == seen {
            continue;
        }
        match read() {
            Ok(new) => {
                (seen, fault) = (changed, None);
                take(new);
            }
            // It is tried again: they may be made readable later, or be half written.
            Err(error) if fault.as_ref() != Some(&error) => {
                tracing::error!(%error, "the old {what} stays");
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
