//! Matches and health.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::{StatusCode, header},
    response::IntoResponse,
};
use serde::{Deserialize, Serialize};

use super::{
    Problem,
    extract::{JsonObject, PathMatch},
    security::Operator,
};
use crate::{
    directory::{Access, Entry},
    front_door::FrontDoor,
    places::Rejection,
};

/// A match in the API.
#[derive(Debug, Serialize)]
pub(super) struct MatchInfo {
    id: u32,
    players: u16,
    seats: u16,
    tick_rate_hz: u16,
    /// Empty if the game has no modes.
    #[serde(skip_serializing_if = "str::is_empty")]
    mode: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct MatchList {
    /// The game's name, from its schema.
    game: String,
    /// The modes that a new match can have.
    modes: &'static [&'static str],
    matches: Vec<MatchInfo>,
    /// The value of `after` for the next page, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u32>,
}

/// Which page of matches to list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    #[serde(default = "Page::default_limit")]
    limit: usize,
    /// Only matches with a greater id. The match itself may be gone.
    after: Option<u32>,
}

impl Page {
    const LIMIT_MAX: usize = 100;

    const fn default_limit() -> usize {
        Self::LIMIT_MAX
    }
}

/// The body of `POST /v1/matches`. All other options come from the server's settings.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateRequest {
    /// One of the game's modes; the first by default.
    mode: Option<String>,
    /// Whether only those may take part who are sent to it by its id.
    private: Option<bool>,
}

pub(super) async fn list(
    State(door): State<Arc<FrontDoor>>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<MatchList>, Problem> {
    let Query(page) = page.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
    if !(1..=Page::LIMIT_MAX).contains(&page.limit) {
        return Err(Problem::bad_request(format!("limit must be 1 to {}", Page::LIMIT_MAX)));
    }
    let mut entries = door.directory.list();
    let is_listed = |entry: &Entry| entry.access == Access::Public;
    entries.retain(|entry| is_listed(entry) && page.after.is_none_or(|after| entry.id.0 > after));
    let is_more = entries.len() > page.limit;
    entries.truncate(page.limit);
    let next = entries.last().filter(|_| is_more).map(|entry| entry.id.0);
    let matches = entries.iter().map(|entry| info(entry)).collect();
    let game = door.followers.feeds.game().to_owned();
    Ok(Json(MatchList { game, modes: door.matchmaker.modes.names, matches, next }))
}

pub(super) async fn show(PathMatch(entry): PathMatch) -> Json<MatchInfo> {
    Json(info(&entry))
}

pub(super) async fn create(
    State(door): State<Arc<FrontDoor>>,
    _: Operator,
    JsonObject(request): JsonObject<CreateRequest>,
) -> Result<impl IntoResponse, Problem> {
    refuse_when_draining(&door)?;
    let matchmaker = &door.matchmaker;
    let mode = matchmaker.mode(request.mode.as_deref()).map_err(Problem::bad_request)?;
    let access = if request.private == Some(true) { Access::Private } else { Access::Public };
    let entry = matchmaker.open(mode, access)?;
    let location = format!("/v1/matches/{}", entry.id.0);
    let headers = [(header::LOCATION, location)];
    Ok((StatusCode::CREATED, headers, Json(info(&entry))))
}

/// Liveness: whether every shard answers.
pub(super) async fn livez(State(door): State<Arc<FrontDoor>>) -> Result<&'static str, Problem> {
    match door.shards.stats().await.silent {
        0 => Ok("ok\n"),
        _ => Err(Problem::silent()),
    }
}

/// Readiness: whether players should be sent to this server.
pub(super) async fn readyz(State(door): State<Arc<FrontDoor>>) -> Result<&'static str, Problem> {
    refuse_when_draining(&door)?;
    if door.is_cordoned() {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        return Err(Problem::new(status, "cordoned", "players should be sent elsewhere"));
    }
    if door.places_free() == 0 {
        return Err(Rejection::AtCapacity.into());
    }
    door.matchmaker.has_room()?;
    Ok("ok\n")
}

pub(super) fn refuse_when_draining(door: &FrontDoor) -> Result<(), Problem> {
    if door.is_draining() {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        return Err(Problem::new(status, "draining", "the server is draining"));
    }
    Ok(())
}

fn info(entry: &Entry) -> MatchInfo {
    MatchInfo {
        id: entry.id.0,
        players: entry.taken(),
        seats: entry.seats,
        tick_rate_hz: entry.tick_rate.hz(),
        mode: entry.mode,
    }
}
