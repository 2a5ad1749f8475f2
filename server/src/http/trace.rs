//! What the flight recorders of the shards hold, for `chrome://tracing` and ui.perfetto.dev.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde_json::{Value, json};

use super::{Problem, api::silent, extract::PathMatch, security::Operator};
use crate::{front_door::FrontDoor, matches::Flight};

/// The last ticks of one match.
pub(super) async fn of_match(
    State(door): State<Arc<FrontDoor>>,
    _: Operator,
    PathMatch(entry): PathMatch,
) -> Result<Json<Value>, Problem> {
    let flights = door.shards.flight(entry.id, entry.shard).await.ok_or_else(silent)?;
    Ok(Json(describe([(entry.shard, flights)])))
}

/// The second before the last overrun of each shard that answers, with all its matches.
pub(super) async fn of_overruns(State(door): State<Arc<FrontDoor>>, _: Operator) -> Json<Value> {
    let flights = door.shards.flights().await.into_iter().enumerate();
    Json(describe(flights.filter_map(|(shard, flights)| Some((shard, flights?)))))
}

fn describe(flights: impl IntoIterator<Item = (usize, Vec<Flight>)>) -> Value {
    let mut events = Vec::new();
    for (shard, flights) in flights.into_iter().filter(|(_, flights)| !flights.is_empty()) {
        let name = format!("shard {shard}");
        events.push(
            json!({ "name": "process_name", "ph": "M", "pid": shard, "args": { "name": name } }),
        );
        flights.iter().for_each(|flight| flight.trace_events(shard, &mut events));
    }
    json!({ "displayTimeUnit": "ms", "traceEvents": events })
}
