//! Options of matches: the chosen mode, and the random seed.
#![expect(clippy::unwrap_used, reason = "these are tests, helpers included")]

mod support;

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use support::{Client, Nothing, TestServer, request};
use tickwire_server::{Server, StartError, config::Config};
use tickwire_shared::{
    game::{Game, MatchOptions, Step},
    ids::{EntityId, Seat},
    rows::Rows,
    schema::{Field, Schema},
};

#[test]
fn any_match_of_a_mode_has_that_mode() {
    let server = TestServer::start::<Shown<0>>(|_| {});
    let enter = |query: &str| {
        let mut client = Client::open(server.addr, query, "tickwire.v1");
        client.say_hello(None);
        client.wait_snapshots(1);
        let mode = client.link.rows().unwrap().row(0).values[0];
        let id = client.link.welcome().unwrap().match_id.0;
        (client, id, mode)
    };
    // The first mode is the default.
    let (_a, first, duel) = enter("match=auto");
    let (_b, second, teams) = enter("match=auto&mode=teams");
    let (_c, third, _) = enter("match=auto&mode=teams");
    let (_d, fourth, _) = enter("match=auto&mode=duel");
    assert_eq!((duel, teams), (0, 1));
    assert!(first != second && second == third && first == fourth);
    let (_e, watched, mode) = enter("match=auto&mode=teams&role=spectator");
    assert_eq!((watched, mode), (second, 1));
    // This mode has three seats, whatever the settings say.
    let (_f, full, _) = enter("match=auto&mode=teams");
    let (_g, another, _) = enter("match=auto&mode=teams");
    assert!(full == second && another != second, "{full}, {another}");
    assert!(server.get("/v1/matches/2").1.contains("\"seats\":3"));
}

#[test]
fn matches_are_created_listed_and_joined_by_mode() {
    let server = TestServer::start::<Shown<0>>(|_| {});
    let post = |path: &str, body: &str| {
        let head = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
        request(server.addr, &format!("{head}content-length: {}\r\n\r\n{body}", body.len()))
    };
    let (status, made) = post("/v1/matches", r#"{"mode":"teams"}"#);
    assert_eq!(status, 201);
    assert!(made.contains(r#""mode":"teams""#), "{made}");
    assert_eq!(post("/v1/matches", "").0, 201);
    let list = server.get("/v1/matches").1;
    assert!(list.contains(r#""modes":["duel","teams"]"#), "{list}");
    assert!(list.contains(r#""mode":"duel""#), "{list}");
    for (body, id) in [(r#"{"mode":"teams"}"#, 1), ("{}", 2), (r#"{"match":1}"#, 1)] {
        let (status, joined) = post("/v1/join", body);
        assert_eq!(status, 200, "{joined}");
        assert!(joined.contains(&format!(r#"{{"match":{id},"#)), "{body}: {joined}");
    }
    for (path, body, why) in [
        ("/v1/matches", r#"{"mode":"ctf"}"#, "mode must be one of duel, teams"),
        ("/v1/join", r#"{"mode":""}"#, "mode must be one of duel, teams"),
        ("/v1/join", r#"{"match":1,"mode":"teams"}"#, "only with match=auto"),
    ] {
        let (status, said) = post(path, body);
        assert_eq!(status, 400);
        assert!(said.contains(why), "{said}");
    }
    let refused = Client::open(server.addr, "match=auto&mode=ctf", "tickwire.v1");
    assert_eq!(refused.status, 400);
}

#[test]
fn no_two_matches_have_the_same_seed() {
    let seed = |server: &TestServer| {
        let mut client = server.join();
        client.wait_snapshots(1);
        client.link.rows().unwrap().row(0).values[1..].to_vec()
    };
    // Also the first matches of different servers.
    let servers = [(); 3].map(|()| TestServer::start::<Shown<0>>(|config| config.seats = 1));
    let seeds: HashSet<_> =
        servers.iter().flat_map(|server| [seed(server), seed(server)]).collect();
    assert_eq!(seeds.len(), 6);
}

#[test]
fn what_a_game_declares_wrongly_is_rejected() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let refused = |bound: Result<Server, StartError>| bound.unwrap_err().to_string();
    let modes = refused(runtime.block_on(Server::bind::<Shown<1>>(Config::default())));
    assert!(
        modes.starts_with("the game's mode \"duel\" is not valid: names are unique"),
        "{modes}"
    );
    let scores = refused(runtime.block_on(Server::bind::<Shown<2>>(Config::default())));
    assert_eq!(scores, "two of the game's scores have the name \"kills\"");
    let seats = refused(runtime.block_on(Server::bind::<Shown<3>>(Config::default())));
    assert_eq!(seats, "the game's mode \"\" has 0 seats, not 1 to 1024");
}

/// A game that shows its mode and its seed.
#[derive(Serialize, Deserialize)]
struct Shown<const WRONG: usize>([i32; 3]);

const MODES: [&[&str]; 4] = [&["duel", "teams"], &["duel", "duel"], &[], &[]];

impl<const WRONG: usize> Game for Shown<WRONG> {
    type Input = Nothing;
    const MODES: &'static [&'static str] = MODES[WRONG];
    const SCORES: &'static [&'static str] = if WRONG == 2 { &["kills", "kills"] } else { &[] };

    fn seats(mode: &str) -> Option<u16> {
        match WRONG {
            3 => Some(0),
            _ => (mode == "teams").then_some(3),
        }
    }

    fn schema() -> Schema {
        let half = |name| Field::new(name, 1.0, i32::MIN, i32::MAX);
        let mode = Field::new("mode", 1.0, 0, 9);
        Schema::new("shown").kind("match", [mode, half("low"), half("high")])
    }

    fn new(options: &MatchOptions) -> Self {
        let mode = Self::MODES.iter().position(|mode| *mode == options.mode);
        let seed = options.seed;
        Self([mode.unwrap() as i32, seed as i32, (seed >> 32) as i32])
    }

    fn join(&mut self, _: Seat) {}

    fn leave(&mut self, _: Seat) {}

    fn step(&mut self, _: &mut Step<'_, Nothing>) {}

    fn write_rows(&self, rows: &mut Rows) {
        rows.push(EntityId(0), 0, &self.0);
    }
}

#[test]
fn an_embedded_server_checks_its_settings() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (seats, open, expected) in [
        (16, true, None),
        (u16::MAX, true, Some("seats must be at most 1024")),
        (16, false, Some("anybody could join at 0.0.0.0:0")),
    ] {
        let config = Config { listen: ([0; 4], 0).into(), seats, open, ..Config::default() };
        let error = runtime.block_on(Server::bind::<Shown<0>>(config)).err().map(|e| e.to_string());
        let is_expected = error.as_deref().zip(expected).map(|(error, is)| error.starts_with(is));
        assert_eq!((error.is_some(), is_expected.unwrap_or(true)), (expected.is_some(), true));
    }
}
