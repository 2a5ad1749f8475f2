//! Server-Sent Events: streams that one reads for as long as one likes.

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

/// A stream that is silent for this long says that it is there.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Lets a browser come back sooner than it would by itself.
const BEGIN: &[u8] = b"retry: 1000\n\n";

/// What somebody holds who follows a feed.
pub(super) struct FollowerPlace {
    _reader: OwnedSemaphorePermit,
    /// Of the address, if a proxy speaks for it.
    _address: Option<AddressPlace>,
}

/// A place for somebody who follows a feed, if there is one left.
pub(super) fn place(
    door: &FrontDoor,
    peer: &Peer,
    headers: &HeaderMap,
) -> Result<FollowerPlace, Problem> {
    let address = peer.behind(door, headers)?;
    let reader = door.followers.place().ok_or_else(|| {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Problem::new(status, "too_many_readers", "as many follow feeds as may")
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

/// Feeds one reader until it is gone, too slow, or the match is over.
async fn run(
    door: Arc<FrontDoor>,
    mut reader: Reader,
    chunks: mpsc::Sender<Bytes>,
    _place: FollowerPlace,
) {
    let mut chunk = Bytes::from_static(BEGIN);
    while hand(&door, &chunks, chunk).await {
        chunk = loop {
            if let Some(chunk) = reader.take() {
                break chunk;
            }
            let news = tokio::select! {
                news = timeout(HEARTBEAT, reader.wait()) => news,
                // Its place is another's at once.
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

/// Hands somebody the next chunk. `false`: they are gone, or have taken nothing for too long, which
/// is counted.
pub(super) async fn hand(door: &FrontDoor, chunks: &mpsc::Sender<Bytes>, chunk: Bytes) -> bool {
    match timeout(door.config.limits.stall_timeout, chunks.send(chunk)).await {
        Ok(handed) => handed.is_ok(),
        Err(_) => {
            door.followers.count_slow();
            false
        }
    }
}

/// The answer that says what comes through the channel.
pub(super) fn stream(chunks: mpsc::Receiver<Bytes>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        // nginx holds an answer back until it has 4 KiB of it.
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
