//! The routes: everything that is request and response, and the way into a match.

mod api;
mod play;

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    Json, Router,
    extract::DefaultBodyLimit,
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream, sync::OwnedSemaphorePermit};

use crate::admission::Admission;

/// Longest body that a request may have.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// All routes.
pub(crate) fn routes(admission: Arc<Admission>) -> Router {
    Router::new()
        .route("/", get(async || Html(include_str!("index.html"))))
        .route("/v1/play", get(play::play))
        .route("/v1/matches", get(api::list).post(api::create))
        .route("/v1/matches/{id}", get(api::show))
        .route("/v1/join", axum::routing::post(api::join))
        .route("/livez", get(api::livez))
        .route("/readyz", get(api::readyz))
        .route("/metrics", get(api::metrics))
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "not_found", "no such route"))
        .method_not_allowed_fallback(async || {
            let status = StatusCode::METHOD_NOT_ALLOWED;
            Problem::new(status, "method_not_allowed", "the route has no such method")
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(admission)
}

/// An error, as the API tells it.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl ToString) -> Self {
        Self { status, code, message: message.to_string() }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({ "error": { "code": self.code, "message": self.message } });
        let mut response = (self.status, Json(body)).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
        }
        response
    }
}

/// A connection's place among all, which goes with its socket when that becomes a WebSocket.
#[derive(Clone, Debug)]
pub(crate) struct Permit(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

impl Permit {
    pub(crate) fn new(permit: OwnedSemaphorePermit) -> Self {
        // Shared and locked only because a request's extensions must be: it has one owner.
        Self(Arc::new(Mutex::new(Some(permit))))
    }

    fn take(&self) -> Option<OwnedSemaphorePermit> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Answers a connection for which there is no place.
pub(crate) async fn refuse_at_capacity(mut stream: TcpStream) {
    let body = r#"{"error":{"code":"at_capacity","message":"the server has no connection left"}}"#;
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    // Who is gone need not be told.
    let _ = stream.write_all(answer.as_bytes()).await;
}
