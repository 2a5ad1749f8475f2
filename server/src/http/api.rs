//! Matches, health and metrics.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
};
use serde::{Deserialize, Serialize};
use tickwire_shared::ids::MatchId;

use super::Problem;
use crate::{
    admission::{Admission, Wish},
    directory::{Entry, JoinRefused},
    telemetry,
};

/// A match, as the API tells it.
#[derive(Debug, Serialize)]
struct MatchInfo {
    id: u32,
    players: u16,
    seats: u16,
    tick_rate_hz: u16,
}

#[derive(Debug, Serialize)]
pub(super) struct MatchList {
    matches: Vec<MatchInfo>,
}

/// What `POST /v1/join` takes.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JoinRequest {
    /// A match id; without it, any match with a free seat, or a new one.
    #[serde(rename = "match")]
    match_id: Option<u32>,
}

/// Where to connect to.
#[derive(Debug, Serialize)]
pub(super) struct JoinAnswer {
    #[serde(rename = "match")]
    match_id: u32,
    url: String,
    /// `null` while the server runs open.
    ticket: Option<String>,
    expires_at: Option<u64>,
}

pub(super) async fn list(State(admission): State<Arc<Admission>>) -> Json<MatchList> {
    let entries = admission.directory().list();
    Json(MatchList { matches: entries.iter().map(|entry| info(entry, &admission)).collect() })
}

pub(super) async fn show(
    State(admission): State<Arc<Admission>>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    let entry = id.parse().ok().and_then(|id| admission.directory().find(MatchId(id)));
    let entry = entry.ok_or_else(|| problem(JoinRefused::NoMatch))?;
    Ok(Json(info(&entry, &admission)))
}

pub(super) async fn create(
    State(admission): State<Arc<Admission>>,
) -> Result<impl IntoResponse, Problem> {
    refuse_when_draining(&admission)?;
    let entry = admission.open().map_err(problem)?;
    let location = format!("/v1/matches/{}", entry.id.0);
    let headers = [(header::LOCATION, location)];
    Ok((StatusCode::CREATED, headers, Json(info(&entry, &admission))))
}

/// Picks or makes a match. No seat is held: it is taken by the WebSocket.
pub(super) async fn join(
    State(admission): State<Arc<Admission>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<JoinAnswer>, Problem> {
    refuse_when_draining(&admission)?;
    let bad = |message| Problem::new(StatusCode::BAD_REQUEST, "bad_request", message);
    let request = match &*body {
        [] => JoinRequest::default(),
        body => serde_json::from_slice(body).map_err(|error| bad(error.to_string()))?,
    };
    let wish = request.match_id.map_or(Wish::Any, |id| Wish::Match(MatchId(id)));
    let match_id = admission.reserve(wish).map_err(problem)?.entry().id.0;
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.ok_or_else(|| bad(String::from("the request has no Host")))?;
    let url = format!("ws://{host}/v1/play?match={match_id}");
    Ok(Json(JoinAnswer { match_id, url, ticket: None, expires_at: None }))
}

/// Whether every shard still answers.
pub(super) async fn livez(
    State(admission): State<Arc<Admission>>,
) -> Result<&'static str, Problem> {
    stats(&admission).await.map(|_| "ok\n")
}

/// Whether players should be sent here.
pub(super) async fn readyz(
    State(admission): State<Arc<Admission>>,
) -> Result<&'static str, Problem> {
    refuse_when_draining(&admission)?;
    stats(&admission).await.map(|_| "ok\n")
}

pub(super) async fn metrics(
    State(admission): State<Arc<Admission>>,
) -> Result<impl IntoResponse, Problem> {
    let page = telemetry::prometheus(&stats(&admission).await?);
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page))
}

async fn stats(admission: &Admission) -> Result<Vec<telemetry::Stats>, Problem> {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let stuck = || Problem::new(status, "shard_stuck", "a shard does not answer");
    admission.stats().await.ok_or_else(stuck)
}

fn refuse_when_draining(admission: &Admission) -> Result<(), Problem> {
    if admission.is_draining() {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        return Err(Problem::new(status, "draining", "the server is going away"));
    }
    Ok(())
}

fn info(entry: &Entry, admission: &Admission) -> MatchInfo {
    MatchInfo {
        id: entry.id.0,
        players: entry.taken(),
        seats: entry.seats,
        tick_rate_hz: admission.config().tick_rate.hz(),
    }
}

fn problem(refused: JoinRefused) -> Problem {
    let (status, code) = match refused {
        JoinRefused::NoMatch => (StatusCode::NOT_FOUND, "no_match"),
        JoinRefused::MatchFull => (StatusCode::CONFLICT, "match_full"),
        JoinRefused::TooManyMatches => (StatusCode::SERVICE_UNAVAILABLE, "too_many_matches"),
    };
    Problem::new(status, code, refused)
}
