//! What the flight recorders of the shards hold, for `chrome://tracing` and ui.perfetto.dev.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde_json::{Value, json};

use super::{Problem, ask::Named, security::Operator};
use crate::{admission::Admission, shard::Recorded};

/// The last ticks of one match.
pub(super) async fn of_match(
    State(admission): State<Arc<Admission>>,
    _: Operator,
    Named(entry): Named,
) -> Result<Json<Value>, Problem> {
    read(&admission, Recorded::Match(entry.id)).await.map(Json)
}

/// The second before the last overrun of each shard, with all its matches.
pub(super) async fn of_overruns(
    State(admission): State<Arc<Admission>>,
    _: Operator,
) -> Result<Json<Value>, Problem> {
    read(&admission, Recorded::Overrun).await.map(Json)
}

async fn read(admission: &Admission, which: Recorded) -> Result<Value, Problem> {
    let flights = admission.flights(which).await.ok_or_else(|| {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Problem::new(status, "stuck", "a shard does not answer")
    })?;
    let mut events = Vec::new();
    for (shard, flights) in flights.iter().enumerate().filter(|(_, flights)| !flights.is_empty()) {
        let name = format!("shard {shard}");
        events.push(
            json!({ "name": "process_name", "ph": "M", "pid": shard, "args": { "name": name } }),
        );
        flights.iter().for_each(|flight| flight.trace_events(shard, &mut events));
    }
    Ok(json!({ "displayTimeUnit": "ms", "traceEvents": events }))
}
