//! Error responses of the API: a status, a code and a message.

use axum::{
    Json,
    http::{HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::{directory::JoinRefused, places::Rejection};

/// An error response of the API.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    code: &'static str,
    pub(super) message: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl ToString) -> Self {
        Self { status, code, message: message.to_string() }
    }

    pub(super) fn bad_request(message: impl ToString) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    pub(super) fn silent() -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(status, "stuck", "a shard does not answer")
    }
}

impl From<JoinRefused> for Problem {
    fn from(refused: JoinRefused) -> Self {
        let (status, code) = match refused {
            JoinRefused::NoMatch | JoinRefused::MatchOver => (StatusCode::NOT_FOUND, "no_match"),
            JoinRefused::MatchFull => (StatusCode::CONFLICT, "match_full"),
            JoinRefused::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "overloaded"),
            JoinRefused::Stuck => (StatusCode::SERVICE_UNAVAILABLE, "stuck"),
            JoinRefused::TooManyMatches => (StatusCode::SERVICE_UNAVAILABLE, "too_many_matches"),
        };
        Self::new(status, code, refused)
    }
}

impl From<Rejection> for Problem {
    fn from(reason: Rejection) -> Self {
        Self::new(status_of(reason), reason.name(), reason.message())
    }
}

pub(super) const fn status_of(reason: Rejection) -> StatusCode {
    match reason {
        Rejection::AtCapacity => StatusCode::SERVICE_UNAVAILABLE,
        Rejection::AddressFull | Rejection::AddressTooFast | Rejection::AddressAsksTooOften => {
            StatusCode::TOO_MANY_REQUESTS
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({ "error": { "code": self.code, "message": self.message } });
        let mut response = (self.status, Json(body)).into_response();
        for &(name, value) in remedy(self.status) {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// Response headers that say how to get another answer.
const fn remedy(status: StatusCode) -> &'static [(&'static str, &'static str)] {
    match status {
        StatusCode::UNAUTHORIZED => &[("www-authenticate", "Bearer")],
        StatusCode::UPGRADE_REQUIRED => &[("connection", "upgrade"), ("upgrade", "websocket")],
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => &[("retry-after", "1")],
        _ => &[],
    }
}
