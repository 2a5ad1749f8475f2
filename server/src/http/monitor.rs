//! `GET /v1/monitor`: a sample of the server's counters once a second, for the monitor page.
//!
//! All clients share one sample, and none is taken without clients. A slow client gets only the
//! newest sample: older ones are skipped.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};

use axum::{Extension, extract::State, http::HeaderMap, response::Response};
use hyper::body::Bytes;
use serde_json::{Value, json};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval},
};

use super::{Peer, Problem, events};
use crate::{
    clock::date,
    front_door::FrontDoor,
    shards::Counted,
    telemetry::{Spans, Stats},
};

const PERIOD: Duration = Duration::from_secs(1);

/// Takes the samples. Never returns.
pub(crate) async fn sample(door: &FrontDoor) -> Infallible {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before: Option<(Instant, Arc<Counted>)> = None;
    loop {
        ticks.tick().await;
        if door.followers.samples.receiver_count() == 0 {
            before = None;
            continue;
        }
        let counted = door.shards.stats().await;
        let now = Instant::now();
        if let Some((then, before)) = before.replace((now, Arc::clone(&counted))) {
            // More than a second if a shard was slow to answer.
            let seconds = (now - then).as_secs_f64();
            let sample = describe(door, &before, &counted, seconds);
            let event = format!("event: sample\ndata: {sample}\n\n");
            door.followers.samples.send_replace(event.into());
        }
    }
}

pub(super) async fn monitor(
    State(door): State<Arc<FrontDoor>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let place = events::place(&door, &peer, &headers)?;
    let (chunks, body) = mpsc::channel::<Bytes>(1);
    let mut samples = door.followers.samples.subscribe();
    tokio::spawn(async move {
        let _place = place;
        loop {
            let changed = tokio::select! {
                changed = samples.changed() => changed,
                // The client is gone: frees its place at once.
                () = chunks.closed() => return,
            };
            if changed.is_err() {
                return;
            }
            let sample = samples.borrow_and_update().clone();
            if !events::send_chunk(&door, &chunks, sample).await {
                return;
            }
        }
    });
    Ok(events::stream(body))
}

/// The sample for the last `seconds`.
fn describe(door: &FrontDoor, before: &Counted, now: &Counted, seconds: f64) -> Value {
    let (names, before, now) = (&now.field_names, &before.shards, &now.shards);
    let spectators: BTreeMap<_, _> = now.iter().flat_map(|shard| &shard.spectators).collect();
    let matches = door.directory.list();
    let matches = matches.iter().map(|entry| {
        let spectators = spectators.get(&entry.id.0).copied().unwrap_or(&0);
        let (players, seats) = (entry.taken(), entry.seats);
        json!({ "id": entry.id.0, "players": players, "seats": seats, "spectators": spectators })
    });
    let mut fields = BTreeMap::<&str, f64>::new();
    let mut closed = BTreeMap::<&str, u64>::new();
    for (before, now) in before.iter().zip(now) {
        let earlier = before.field_bits.iter().chain(std::iter::repeat(&0.0));
        for ((name, bits), earlier) in names.iter().zip(&now.field_bits).zip(earlier) {
            if *bits > 0.0 {
                *fields.entry(name).or_default() += (bits - earlier) / seconds;
            }
        }
        for (reason, count) in &now.closed {
            *closed.entry(reason).or_default() += count;
        }
    }
    let mut refused = door.refusals();
    refused.retain(|_, count| *count > 0);
    json!({
        "at": date().0,
        "shards": before.iter().zip(now).map(|(b, n)| shard(b, n, seconds)).collect::<Vec<_>>(),
        "matches": matches.collect::<Vec<_>>(),
        "fields": fields,
        "refused": refused,
        "closed": closed,
    })
}

fn shard(before: &Stats, now: &Stats, seconds: f64) -> Value {
    let per_s = |before: u64, now: u64| ((now - before) as f64 / seconds).round() as u64;
    json!({
        "matches": now.matches,
        "connections": now.connections,
        "snapshots_per_s": per_s(before.snapshots, now.snapshots),
        "bytes_per_s": per_s(before.snapshot_bytes, now.snapshot_bytes),
        "tick_time_us": spans(&before.tick_time, &now.tick_time),
        "tick_lateness_us": spans(&before.tick_lateness, &now.tick_lateness),
    })
}

fn spans(before: &Spans, now: &Spans) -> Value {
    let [p50, p99, max] = now.since(before);
    json!({ "p50": p50, "p99": p99, "max": max })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::{task::yield_now, time::timeout};

    use super::*;

    #[tokio::test]
    async fn a_client_that_goes_between_two_samples_frees_its_place_at_once() {
        let (door, _) = FrontDoor::with_failed_shard();
        let ip = Ipv4Addr::LOCALHOST.into();
        let (place, handshake) = door.enter(ip).unwrap();
        let peer = Extension(Peer::new(ip, place, handshake));
        // Nobody takes samples here.
        let answer = monitor(State(Arc::clone(&door)), peer, HeaderMap::new()).await.unwrap();
        yield_now().await;
        assert_eq!(door.followers.count(), 1);
        drop(answer);
        let freed = async {
            while door.followers.count() > 0 {
                yield_now().await;
            }
        };
        timeout(Duration::from_secs(20), freed).await.expect("the place is free");
    }
}
