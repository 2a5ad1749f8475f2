//! What a session that is taken up is told: every event once, whatever its client has kept.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use serde::{Deserialize, Serialize};
use support::{Client, End, TestServer};
use tickwire_shared::{
    game::{Game, Input, MatchOptions, Step},
    ids::Seat,
    link::frames::MESSAGE,
    rows::Rows,
    schema::Schema,
    wire::{ClientMessage, Hello, Kept, PROTOCOL_VERSION, Resume, write_client},
};

#[test]
fn every_event_is_told_once_also_after_a_page_was_loaded_again() {
    let server = TestServer::start::<Bell>(|_| {});
    let mut page = server.join();
    page.wait("events", |client| client.events >= 20);
    let token = page.link.welcome().unwrap().resume;
    drop(page);
    // It knows nothing but the token, and is told no event of before.
    let mut page = Client::open(server.addr, "match=1&resume=1", "tickwire.v1");
    page.say_hello(Some(token));
    page.wait("events", |client| client.events >= 5);
    for _ in 0..2 {
        let told = page.newest_event.unwrap();
        page = server.take_up(page.link);
        page.wait("events", |client| client.events >= 5);
        let since = page.newest_event.unwrap().since(told);
        assert_eq!(page.events, since.cast_unsigned(), "one for each tick since");
    }
}

#[test]
fn who_has_kept_what_nobody_told_is_refused_before_a_welcome() {
    let server = TestServer::start::<Bell>(|_| {});
    let mut page = server.join();
    page.wait("events", |client| client.events >= 2);
    let token = page.link.welcome().unwrap().resume;
    drop(page);
    let kept = Some(Kept { applied: None, events: 1_000_000, model_hash: 0 });
    let hello = Hello {
        version: PROTOCOL_VERSION,
        schema_hash: None,
        resume: Some(Resume { token, kept }),
        name: String::new(),
    };
    let mut payload = vec![MESSAGE];
    write_client(&ClientMessage::Hello(hello), &mut payload);
    let mut client = Client::open(server.addr, "match=1&resume=1", "tickwire.v1");
    client.send(&payload);
    assert_eq!(client.wait_end(), End::Close(4012));
    assert!(client.link.welcome().is_none());
    assert!(server.get("/v1/matches/1").1.contains("\"players\":0"), "its seat is free");
}

/// A game that tells everybody something every tick.
#[derive(Serialize, Deserialize)]
struct Bell;

#[derive(Clone, Default)]
struct Nothing;

impl Input for Nothing {
    fn from_values(_: &[i32]) -> Self {
        Self
    }

    fn write_values(&self, _: &mut [i32]) {}
}

impl Game for Bell {
    type Input = Nothing;

    fn schema() -> Schema {
        Schema::new("bell").event("rings", [])
    }

    fn new(_: &MatchOptions) -> Self {
        Self
    }

    fn join(&mut self, _: Seat) {}

    fn leave(&mut self, _: Seat) {}

    fn step(&mut self, step: &mut Step<'_, Nothing>) {
        step.events.all(0, &[]);
    }

    fn write_rows(&self, _: &mut Rows) {}
}
