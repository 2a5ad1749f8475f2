//! Event feeds as Server-Sent Events.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Extension,
    body::{Body, HttpBody},
    extract::State,
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use hyper::body::{Bytes, Frame};
use tickwire_shared::ids::MatchId;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::timeout,
};

use super::{Peer, Problem, extract::PathMatch};
use crate::{feeds::Reader, front_door::FrontDoor, places::AddressPlace};

/// A stream without events for this long sends an empty comment as a heartbeat.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Makes a browser reconnect after a second, sooner than by default.
const BEGIN: &[u8] = b"retry: 1000\n\n";

/// The places that a feed reader holds.
pub(super) struct FollowerPlace {
    _reader: OwnedSemaphorePermit,
    /// The client address' place, if a trusted proxy names the address.
    _address: Option<AddressPlace>,
}

/// Takes the places for a feed reader, if there are any left.
pub(super) fn place(
    door: &FrontDoor,
    peer: &Peer,
    headers: &HeaderMap,
) -> Result<FollowerPlace, Problem> {
    let address = peer.behind(door, headers)?;
    let reader = door.followers.place().ok_or_else(|| {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Problem::new(status, "too_many_readers", "too many clients read feeds")
    })?;
    Ok(FollowerPlace { _reader: reader, _address: address })
}

pub(super) async fn all(
    State(door): State<Arc<FrontDoor>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    follow(door, &peer, None, &headers)
}

pub(super) async fn one(
    State(door): State<Arc<FrontDoor>>,
    Extension(peer): Extension<Peer>,
    PathMatch(entry): PathMatch,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    follow(door, &peer, Some(entry.id), &headers)
}

fn follow(
    door: Arc<FrontDoor>,
    peer: &Peer,
    only: Option<MatchId>,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let place = place(&door, peer, headers)?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let reader = door.followers.feeds.read(only, last);
    let (chunks, body) = mpsc::channel(1);
    tokio::spawn(run(door, reader, chunks, place));
    Ok(stream(body))
}

/// Sends a feed to one reader until the reader is gone or too slow, or the match is over.
async fn run(
    door: Arc<FrontDoor>,
    mut reader: Reader,
    chunks: mpsc::Sender<Bytes>,
    _place: FollowerPlace,
) {
    let mut chunk = Bytes::from_static(BEGIN);
    while send_chunk(&door, &chunks, chunk).await {
        chunk = loop {
            if let Some(chunk) = reader.take() {
                break chunk;
            }
            let news = tokio::select! {
                news = timeout(HEARTBEAT, reader.wait()) => news,
                // The reader is gone: frees its place at once.
                () = chunks.closed() => return,
            };
            match news {
                Ok(true) => {}
                Ok(false) => return,
                Err(_) => break Bytes::from_static(b":\n\n"),
            }
        };
    }
}

/// Sends a reader the next chunk. `false`: the reader is gone, or has read nothing for too long,
/// which is counted.
pub(super) async fn send_chunk(
    door: &FrontDoor,
    chunks: &mpsc::Sender<Bytes>,
    chunk: Bytes,
) -> bool {
    match timeout(door.config.limits.stall_timeout, chunks.send(chunk)).await {
        Ok(handed) => handed.is_ok(),
        Err(_) => {
            door.followers.count_slow();
            false
        }
    }
}

/// A response that streams the chunks of the channel.
pub(super) fn stream(chunks: mpsc::Receiver<Bytes>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        // nginx would buffer the response up to 4 KiB.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, Body::new(Chunks(chunks))).into_response()
}

struct Chunks(mpsc::Receiver<Bytes>);

impl HttpBody for Chunks {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk))))
    }
}
