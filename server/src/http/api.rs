//! Matches and health.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode, header, uri::Authority},
    response::IntoResponse,
};
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use serde_json::Value;
use tickwire_shared::ids::MatchId;

use super::{
    Problem,
    extract::{JsonObject, PathMatch},
    security::{Operator, bearer},
};
use crate::{
    directory::{Access, Entry, JoinRefused},
    front_door::FrontDoor,
    places::Rejection,
    tickets::{Grant, TicketRole, random_id, unix_now},
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

/// The body of `POST /v1/join`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JoinRequest {
    /// A match id; `auto` (the default) is any match with a free seat, or a new one.
    #[serde(rename = "match", default, deserialize_with = "match_or_auto")]
    match_id: Option<u32>,
    /// With `auto`: one of the game's modes; the first by default.
    mode: Option<String>,
    /// The ticket's subject; only an operator may set it.
    subject: Option<String>,
    /// The ticket's role; player by default. Only an operator may request an operator's.
    role: Option<TicketRole>,
    /// The player's display name.
    name: Option<String>,
    /// What the game is told of the player; only an operator may set it.
    data: Option<Vec<i32>>,
}

fn match_or_auto<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    let value = Value::deserialize(from)?;
    let id = value.as_u64().and_then(|id| u32::try_from(id).ok());
    let is_any = value.is_null() || value == "auto";
    let wrong = || D::Error::custom(format!("match is `auto` or a match id, not {value}"));
    if is_any { Ok(None) } else { id.map(Some).ok_or_else(wrong) }
}

/// Where to connect to.
#[derive(Debug, Serialize)]
pub(super) struct JoinAnswer {
    #[serde(rename = "match")]
    match_id: u32,
    url: String,
    /// `null` if the server has no ticket key, or only a public one.
    ticket: Option<String>,
    /// In seconds since 1970.
    expires_at: Option<u64>,
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
    let matches = entries.iter().map(|entry| info(entry, &door)).collect();
    let game = door.followers.feeds.game().to_owned();
    Ok(Json(MatchList { game, modes: door.matchmaker.modes.names, matches, next }))
}

pub(super) async fn show(
    State(door): State<Arc<FrontDoor>>,
    PathMatch(entry): PathMatch,
) -> Json<MatchInfo> {
    Json(info(&entry, &door))
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
    let entry = matchmaker.open(mode, access).map_err(problem)?;
    let location = format!("/v1/matches/{}", entry.id.0);
    let headers = [(header::LOCATION, location)];
    Ok((StatusCode::CREATED, headers, Json(info(&entry, &door))))
}

/// Picks or opens a match, and issues a ticket. No seat stays reserved: the WebSocket takes one.
pub(super) async fn join(
    State(door): State<Arc<FrontDoor>>,
    operator: Result<Operator, Problem>,
    headers: HeaderMap,
    JsonObject(request): JsonObject<JoinRequest>,
) -> Result<Json<JoinAnswer>, Problem> {
    refuse_when_draining(&door)?;
    let is_operator = operator.is_ok();
    if let Err(problem) = operator {
        let are_guests = door.tickets.is_none() || door.config.tickets.guests;
        let is_bold = request.subject.is_some()
            || request.data.is_some()
            || request.role == Some(TicketRole::Operator);
        // A request with a token gets the error of the token.
        if !are_guests || is_bold && bearer(&headers).is_some() {
            return Err(problem);
        }
        if is_bold {
            let message = "only operators may set subject, data, or the role operator";
            return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", message));
        }
    }
    // `None` leaves the ticket valid for any match: its bearer gets another one if this one has
    // become full.
    let only = request.match_id.map(MatchId);
    let role = request.role.unwrap_or(TicketRole::Player);
    let subject = request.subject.unwrap_or_else(|| format!("guest-{}", random_id()));
    let (name, data) = (request.name.unwrap_or_default(), request.data.unwrap_or_default());
    let grant = Grant { subject: &subject, role, match_id: only, name: &name, data: &data };
    // Before a match is opened, so that a rejected request leaves none behind.
    if door.tickets.is_some()
        && let Some(flaw) = grant.flaw()
    {
        return Err(Problem::bad_request(flaw));
    }
    let expires_at = unix_now() + door.config.tickets.life.as_secs();
    let ticket = door.tickets.as_ref().and_then(|tickets| tickets.issue(&grant, expires_at));
    if ticket.is_none() && !data.is_empty() {
        let message = "data goes into a ticket, and this server issues none";
        return Err(Problem::bad_request(message));
    }
    let base = base_url(&door, &headers)?;
    let matchmaker = &door.matchmaker;
    let selector =
        matchmaker.selector(only, request.mode.as_deref()).map_err(Problem::bad_request)?;
    let entry = match role {
        TicketRole::Player => matchmaker.reserve(selector).map(|seat| Arc::clone(seat.entry())),
        TicketRole::Spectator | TicketRole::Operator => matchmaker.find_or_open(selector),
    };
    let entry = entry.map_err(problem)?;
    // A guest's ticket would name the match, and so admit to it.
    if entry.access == Access::Private && door.tickets.is_some() && !is_operator {
        return Err(problem(JoinRefused::NoMatch));
    }
    let match_id = entry.id.0;
    let mut url = format!("{base}/v1/play?match={match_id}");
    if role != TicketRole::Player {
        url.push_str("&role=spectator");
    }
    if let Some(ticket) = &ticket {
        url.push_str("&ticket=");
        url.push_str(ticket);
    }
    let expires_at = ticket.is_some().then_some(expires_at);
    Ok(Json(JoinAnswer { match_id, url, ticket, expires_at }))
}

/// The URL by which clients reach this server, up to the routes.
fn base_url(door: &FrontDoor, headers: &HeaderMap) -> Result<String, Problem> {
    if let Some(url) = &door.config.public_url {
        return Ok(url.trim_end_matches('/').into());
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.filter(|host| host.parse::<Authority>().is_ok());
    let host = host.ok_or_else(|| Problem::bad_request("the request has no valid Host header"))?;
    // A proxy may have ended TLS.
    let is_forwarded = headers.get("x-forwarded-proto").is_some_and(|proto| proto == "https");
    let scheme = if door.tls.is_some() || is_forwarded { "wss" } else { "ws" };
    Ok(format!("{scheme}://{host}"))
}

/// Liveness: whether every shard answers.
pub(super) async fn livez(State(door): State<Arc<FrontDoor>>) -> Result<&'static str, Problem> {
    match door.shards.stats().await.silent {
        0 => Ok("ok\n"),
        _ => Err(silent()),
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
    door.matchmaker.has_room().map_err(problem)?;
    Ok("ok\n")
}

pub(super) fn silent() -> Problem {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Problem::new(status, "stuck", "a shard does not answer")
}

fn refuse_when_draining(door: &FrontDoor) -> Result<(), Problem> {
    if door.is_draining() {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        return Err(Problem::new(status, "draining", "the server is draining"));
    }
    Ok(())
}

fn info(entry: &Entry, door: &FrontDoor) -> MatchInfo {
    MatchInfo {
        id: entry.id.0,
        players: entry.taken(),
        seats: entry.seats,
        tick_rate_hz: door.config.tick_rate.hz(),
        mode: entry.mode,
    }
}

pub(super) fn problem(refused: JoinRefused) -> Problem {
    let (status, code) = match refused {
        JoinRefused::NoMatch => (StatusCode::NOT_FOUND, "no_match"),
        JoinRefused::MatchFull => (StatusCode::CONFLICT, "match_full"),
        JoinRefused::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "overloaded"),
        JoinRefused::Stuck => (StatusCode::SERVICE_UNAVAILABLE, "stuck"),
        JoinRefused::TooManyMatches => (StatusCode::SERVICE_UNAVAILABLE, "too_many_matches"),
    };
    Problem::new(status, code, refused)
}
