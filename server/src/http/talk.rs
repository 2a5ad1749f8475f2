//! What is said to a match, or to all, from outside.

use std::sync::Arc;

use axum::{Json, body::Bytes, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use tickwire_shared::{
    ids::MatchId,
    social::{NOTICE_CHARS_MAX, clean_line},
};

use super::{Problem, api::problem, security::Operator};
use crate::admission::Admission;

/// What `POST /v1/notices` takes, and answers once it is cleaned.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Notice {
    /// Where; without it, everywhere.
    #[serde(rename = "match")]
    match_id: Option<u32>,
    text: String,
}

pub(super) async fn notice(
    State(admission): State<Arc<Admission>>,
    _: Operator,
    body: Bytes,
) -> Result<(StatusCode, Json<Notice>), Problem> {
    let bad = |message| Problem::new(StatusCode::BAD_REQUEST, "bad_request", message);
    let Notice { match_id, text } =
        serde_json::from_slice(&body).map_err(|error| bad(error.to_string()))?;
    let text = clean_line(&text, NOTICE_CHARS_MAX)
        .map_err(|_| bad(format!("a notice has 1 to {NOTICE_CHARS_MAX} characters")))?;
    admission.notice(match_id.map(MatchId), &text).map_err(problem)?;
    Ok((StatusCode::CREATED, Json(Notice { match_id, text })))
}
