//! Resumed sessions: each event and each line of chat arrives exactly once, whatever was lost.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use serde::{Deserialize, Serialize};
use support::{Client, End, Nothing, TestServer};
use tickwire_shared::{
    game::{Game, MatchOptions, Step},
    ids::Seat,
    link::frames::MESSAGE,
    rows::Rows,
    schema::Schema,
    wire::{ClientMessage, Hello, Kept, PROTOCOL_VERSION, Resume, ResumeToken, write_client},
};

#[test]
fn every_event_arrives_once_also_after_a_page_reload() {
    let server = TestServer::start::<Bell>(|_| {});
    let mut page = server.join();
    page.wait("events", |client| client.events >= 20);
    let token = page.link.welcome().unwrap().resume;
    drop(page);
    // It has kept nothing but the token, and gets no earlier event.
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
fn a_battle_that_was_missed_is_told_to_the_last_death() {
    let server = TestServer::start::<Battle>(|_| {});
    let mut away = server.join();
    away.wait_snapshots(1);
    let mut there = server.join();
    there.wait("the battle", |client| client.events == Battle::DEATHS);
    let mut back = server.take_up(away.link);
    back.wait("the battle", |client| client.events == Battle::DEATHS);
}

#[test]
fn a_line_of_chat_that_was_lost_with_the_connection_is_sent_again() {
    let server = TestServer::start::<Bell>(|_| {});
    let mut ada = server.join();
    let mut bob = server.join();
    ada.link.chat("one").unwrap();
    ada.send_chat();
    bob.wait("the line", |client| client.lines() == ["player 1: one"]);
    // This one never leaves the machine.
    ada.link.chat("two").unwrap();
    assert!(ada.link.poll_chat(&mut Vec::new()));
    let mut ada = server.take_up(ada.link);
    ada.wait("the welcome", |client| client.link.welcome().unwrap().lines == 1);
    ada.link.chat("three").unwrap();
    ada.send_chat();
    let all = ["player 1: one", "player 1: two", "player 1: three"];
    bob.wait("the lines", |client| client.lines() == all);
}

#[test]
fn a_resume_with_impossible_events_is_refused_before_a_welcome() {
    let server = TestServer::start::<Bell>(|_| {});
    let token = leave(&server);
    let mut client = take_up(&server, token, 1_000_000);
    assert_eq!(client.wait_end(), End::Close(4012));
    assert!(client.link.welcome().is_none());
    assert!(server.get("/v1/matches/1").1.contains("\"players\":0"), "its seat is free");
}

#[test]
fn a_resume_with_another_model_gets_the_servers() {
    let server = TestServer::start::<Bell>(|_| {});
    let token = leave(&server);
    let mut page = take_up(&server, token, 2);
    page.wait("events", |client| client.events >= 2 && client.snapshots > 0);
}

#[test]
fn a_spectator_that_comes_back_joins_anew() {
    let server = TestServer::start::<Bell>(|_| {});
    let mut player = server.join();
    let mut watching = Client::open(server.addr, "match=1&role=spectator", "tickwire.v1");
    watching.say_hello(None);
    watching.wait_snapshots(1);
    let token = watching.link.welcome().unwrap().resume;
    // Whether or not the server has noticed the loss of its old connection.
    for query in ["match=1&role=spectator", "match=1&resume=1"] {
        let mut again = Client::open(server.addr, query, "tickwire.v1");
        again.say_hello(Some(token));
        assert_eq!(again.wait_end(), End::Close(4012), "{query}");
    }
    watching.wait_snapshots(3);
    player.wait_snapshots(3);
}

#[test]
fn a_resumed_seat_is_reserved_once() {
    let server = TestServer::start::<Bell>(|config| config.seats = 2);
    let page = server.join();
    let token = page.link.welcome().unwrap().resume;
    // Its URL does not announce a resume, so a seat is reserved for it until its hello.
    let mut again = Client::open(server.addr, "match=1", "tickwire.v1");
    again.say_hello(Some(token));
    again.wait_snapshots(1);
    let mut second = Client::open(server.addr, "match=1", "tickwire.v1");
    second.say_hello(None);
    second.wait_snapshots(1);
}

/// A client receives two events and disconnects. Returns its resume token.
fn leave(server: &TestServer) -> ResumeToken {
    let mut page = server.join();
    page.wait("events", |client| client.events >= 2);
    page.link.welcome().unwrap().resume
}

/// Resumes a session with this number of kept events, and a model that no server has.
fn take_up(server: &TestServer, token: ResumeToken, events: u32) -> Client {
    let kept = Some(Kept { applied: None, events, model_hash: 0 });
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
    client
}

/// A game that sends an event to all clients every tick.
#[derive(Serialize, Deserialize)]
struct Bell;

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

/// A game in which hundreds die in each tick from when a second player joins.
#[derive(Serialize, Deserialize)]
struct Battle {
    alive: u32,
}

impl Battle {
    const DEATHS: u32 = 4_000;
}

impl Game for Battle {
    type Input = Nothing;

    fn schema() -> Schema {
        Schema::new("battle").event("death", ["unit", "killer", "x", "y"])
    }

    fn new(_: &MatchOptions) -> Self {
        Self { alive: 0 }
    }

    fn join(&mut self, seat: Seat) {
        if seat == Seat(1) {
            self.alive = Self::DEATHS;
        }
    }

    fn leave(&mut self, _: Seat) {}

    fn step(&mut self, step: &mut Step<'_, Nothing>) {
        for _ in 0..self.alive.min(400) {
            self.alive -= 1;
            let unit = self.alive.cast_signed();
            step.events.all(0, &[unit, unit % 7, 100_000 + unit, 900_000 - unit]);
        }
    }

    fn write_rows(&self, _: &mut Rows) {}
}
