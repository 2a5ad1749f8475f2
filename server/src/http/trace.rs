//! The flight recorders of matches, for `chrome://tracing` and ui.perfetto.dev.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde_json::{Value, json};

use super::{Problem, extract::PathMatch, security::Operator};
use crate::{front_door::FrontDoor, matches::Recording};

/// The last ticks of one match.
pub(super) async fn of_match(
    State(door): State<Arc<FrontDoor>>,
    _: Operator,
    PathMatch(entry): PathMatch,
) -> Result<Json<Value>, Problem> {
    let recordings =
        door.shards.recording(entry.id, entry.shard).await.ok_or_else(Problem::silent)?;
    Ok(Json(describe([(entry.shard, recordings)])))
}

/// The second before the last overrun of each shard that answers, with all its matches.
pub(super) async fn of_overruns(State(door): State<Arc<FrontDoor>>, _: Operator) -> Json<Value> {
    let recordings = door.shards.overruns().await.into_iter().enumerate();
    Json(describe(recordings.filter_map(|(shard, recordings)| Some((shard, recordings?)))))
}

fn describe(recordings: impl IntoIterator<Item = (usize, Vec<Recording>)>) -> Value {
    let mut events = Vec::new();
    for (shard, recordings) in
        recordings.into_iter().filter(|(_, recordings)| !recordings.is_empty())
    {
        let name = format!("shard {shard}");
        events.push(
            json!({ "name": "process_name", "ph": "M", "pid": shard, "args": { "name": name } }),
        );
        recordings.iter().for_each(|recording| recording.trace_events(shard, &mut events));
    }
    json!({ "displayTimeUnit": "ms", "traceEvents": events })
}
