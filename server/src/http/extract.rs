//! Extractors for handlers, whose rejections are [`Problem`]s.

use std::sync::Arc;

use axum::{
    body::{Bytes, HttpBody},
    extract::{FromRequest, FromRequestParts, Path, Request},
    http::{StatusCode, request::Parts},
};
use serde::de::DeserializeOwned;
use tickwire_shared::ids::MatchId;

use super::Problem;
use crate::{
    directory::{Entry, JoinRefused},
    front_door::FrontDoor,
};

/// Reads all of a request's body. Must come before any response: hyper closes a connection whose
/// request body is not fully read.
pub(super) async fn read_body(request: Request) -> Result<Request, Problem> {
    if request.body().is_end_stream() {
        return Ok(request);
    }
    let (parts, body) = request.into_parts();
    let sent = Request::from_parts(parts.clone(), body);
    let body = Bytes::from_request(sent, &()).await.map_err(|rejection| {
        let code = match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => "too_long",
            _ => "bad_request",
        };
        Problem::new(rejection.status(), code, rejection.body_text())
    })?;
    Ok(Request::from_parts(parts, body.into()))
}

/// The request's body as a JSON object. No body counts as an empty object.
pub(super) struct JsonObject<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<FrontDoor>> for JsonObject<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, door: &Arc<FrontDoor>) -> Result<Self, Problem> {
        let body = Bytes::from_request(request, door).await.map_err(Problem::bad_request)?;
        let body = if body.is_empty() { b"{}" } else { &*body };
        // serde would also accept a list, in the order of the struct's fields.
        if !body.trim_ascii_start().starts_with(b"{") {
            return Err(Problem::bad_request("the body must be a JSON object"));
        }
        serde_json::from_slice(body).map(Self).map_err(Problem::bad_request)
    }
}

/// The match that the path names.
pub(super) struct PathMatch(pub(super) Arc<Entry>);

impl FromRequestParts<Arc<FrontDoor>> for PathMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, door: &Arc<FrontDoor>) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, door).await.ok();
        let id = path.and_then(|Path(id)| id.parse().ok());
        let id = id.ok_or(JoinRefused::NoMatch)?;
        Ok(Self(door.directory.find(MatchId(id))?))
    }
}
