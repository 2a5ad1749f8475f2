//! Event feeds (Server-Sent Events), read from real sockets.

#![expect(clippy::unwrap_used, reason = "these are tests, helpers included")]

mod support;

use std::{
    io::Write,
    net::TcpStream,
    time::{Duration, Instant},
};

use support::{PATIENCE, TestServer, frame, read};
use tickwire_shared::arena::Arena;

#[test]
fn a_feed_delivers_events_and_resumes() {
    let server = TestServer::start::<Arena>(|config| config.npcs = 8);
    let mut everything = Stream::open(&server, "/v1/events", "");
    let mut ada = server.connect();
    ada.introduce("Ada", None);
    ada.wait_welcome();
    everything.wait("event: opened");
    everything.wait("event: join");
    everything.wait(r#""name":"Ada","seat":0"#);
    let mut of_match = Stream::open(&server, "/v1/matches/1/events", "");
    of_match.wait("event: state\ndata: {\"match\":1,\"players\":[{\"name\":\"Ada\",\"seat\":0");
    ada.chat("<b>");
    for stream in [&mut everything, &mut of_match] {
        stream.wait("event: chat");
        stream.wait(r#""text":"<b>""#);
    }
    let last = of_match.last_id();
    drop(of_match);
    assert_eq!(server.post("/v1/notices", r#"{"text": "soon"}"#).0, 201);
    everything.wait("event: notice");
    ada.send_raw(&frame(0x88, &1000_u16.to_be_bytes()));
    everything.wait("event: leave");
    let mut back = Stream::open(&server, "/v1/matches/1/events", &last);
    back.wait("event: leave");
    assert!(!back.read.contains("event: chat") && !back.read.contains("event: gap"));
    assert_eq!(back.read.matches("event: notice").count(), 1);
    let mut lost = Stream::open(&server, "/v1/events", "another-run");
    lost.wait("event: gap");
    assert_eq!(server.get("/v1/matches/9/events").0, 404);
}

#[test]
fn a_reader_that_leaves_a_feed_frees_its_place() {
    let server = TestServer::start::<Arena>(|_| {});
    let mut everything = Stream::open(&server, "/v1/events", "");
    everything.wait("retry:");
    assert_eq!(server.metric("tickwire_feed_readers"), 1.0);
    drop(everything);
    // Sooner than the heartbeat, which would notice too.
    let is_given_back = (0..1_000).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        server.metric("tickwire_feed_readers") == 0.0
    });
    assert!(is_given_back);
}

#[test]
fn a_feed_of_computer_players_has_kills_and_scores() {
    let server = TestServer::start::<Arena>(|config| config.npcs = 16);
    let mut everything = Stream::open(&server, "/v1/events", "");
    let _match_with_somebody = server.join();
    everything.wait("event: kill");
    everything.wait(r#""killer":"#);
    everything.wait("event: score");
    everything.wait(r#""deaths":1"#);
    // Only the seat of a person has a name.
    let scores = everything.read.split("event: score\ndata: ").skip(1);
    for score in scores.filter_map(|rest| rest.lines().next()) {
        let score: serde_json::Value = serde_json::from_str(score).unwrap();
        assert_eq!(score["name"].is_string(), score["seat"] == 0, "{score}");
    }
}

#[test]
fn a_lobby_can_leave_private_matches_out() {
    let server = TestServer::start::<Arena>(|_| {});
    let mut everything = Stream::open(&server, "/v1/events", "");
    for (body, opened) in
        [(r#"{"private":true}"#, r#""match":1,"private":true}"#), ("{}", r#""match":2}"#)]
    {
        assert_eq!(server.post("/v1/matches", body).0, 201);
        everything.wait(opened);
    }
}

#[test]
fn a_draining_server_ends_its_feeds_with_the_results() {
    let mut server = TestServer::start::<Arena>(|_| {});
    let mut everything = Stream::open(&server, "/v1/events", "");
    drop(server.join());
    everything.wait("event: away");
    server.begin_drain();
    everything.wait("event: ended");
    everything.wait(
        r#""match":1,"players":[{"away":true,"name":"player 1","seat":0}],"reason":"drain"}"#,
    );
}

#[test]
fn on_a_server_with_tickets_the_feed_has_no_chat() {
    let server = TestServer::start::<Arena>(|config| config.feed_chat = Some(false));
    let mut everything = Stream::open(&server, "/v1/events", "");
    let mut ada = server.join();
    ada.chat("between us");
    ada.wait("its line", |client| client.lines().len() == 1);
    ada.send_raw(&frame(0x88, &1000_u16.to_be_bytes()));
    everything.wait("event: leave");
    assert!(!everything.read.contains("between us"));
}

#[test]
fn lobby_chat_is_bounded() {
    let server = TestServer::start::<Arena>(|_| {});
    let mut everything = Stream::open(&server, "/v1/events", "");
    for text in ["\\u0007", "", &"x".repeat(201)] {
        let body = format!(r#"{{"name": "Ada", "text": "{text}"}}"#);
        assert_eq!(server.post("/v1/chat", &body).0, 400, "{text}");
    }
    let say = || server.post("/v1/chat", r#"{"name": "A\u0007da", "text": "<\u0007b>"}"#).0;
    assert_eq!(say(), 201);
    everything.wait("event: chat");
    everything.wait(r#""match":null,"name":"Ada","text":"<b>""#);
    let (status, body) = server.get("/v1/chat");
    let told: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &told["lines"][0]["text"]), (200, &"<b>".into()));
    assert!((0..100).any(|_| say() == 429), "too fast is refused");
}

#[test]
fn the_monitor_streams_samples() {
    let server = TestServer::start::<Arena>(|config| config.npcs = 4);
    let mut ada = server.join();
    let mut sample = Stream::ask(&server, "/v1/monitor", "");
    // A client that reads nothing soon gets nothing more.
    ada.wait_snapshots(50);
    sample.wait("event: sample\n");
    sample.wait("\n\n\r\n");
    let (_, data) = sample.read.split_once("data: ").unwrap();
    let data: serde_json::Value = serde_json::from_str(data.lines().next().unwrap()).unwrap();
    assert_eq!(data["matches"][0]["players"], 1);
    assert!(data["shards"][0]["snapshots_per_s"].as_u64() > Some(0), "{data}");
    assert!(data["shards"][0]["tick_time_us"]["p99"].as_u64() > Some(0), "{data}");
    assert!(data["fields"]["player.x"].as_f64() > Some(0.0), "{data}");
}

/// A feed, as far as it was read.
struct Stream {
    socket: TcpStream,
    read: String,
}

impl Stream {
    fn open(server: &TestServer, path: &str, last: &str) -> Self {
        let mut stream = Self::ask(server, path, last);
        stream.wait("retry: 1000\n\n");
        stream
    }

    fn ask(server: &TestServer, path: &str, last: &str) -> Self {
        let mut socket = TcpStream::connect(server.addr).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let last =
            if last.is_empty() { String::new() } else { format!("last-event-id: {last}\r\n") };
        let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{last}\r\n");
        socket.write_all(head.as_bytes()).unwrap();
        let mut stream = Self { socket, read: String::new() };
        stream.wait("\r\n\r\n");
        assert!(stream.read.contains("content-type: text/event-stream"));
        assert!(stream.read.contains("x-accel-buffering: no"), "nginx would keep it");
        stream
    }

    /// Reads until this has come.
    #[track_caller]
    fn wait(&mut self, text: &str) {
        let (mut buffer, start) = ([0; 4096], Instant::now());
        while !self.read.contains(text) {
            // Heartbeats alone would keep this loop going.
            assert!(start.elapsed() < PATIENCE, "no {text}: {}", self.read);
            let count = read(&mut self.socket, &mut buffer);
            assert!(count > 0, "the feed ended before {text}: {}", self.read);
            self.read.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        }
    }

    fn last_id(&self) -> String {
        let (_, rest) = self.read.rsplit_once("\nid: ").unwrap();
        rest.lines().next().unwrap().to_owned()
    }
}
