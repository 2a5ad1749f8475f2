//! A server, real sockets, and clients that play, disconnect, resume and misbehave.

mod support;

use std::{
    fs,
    io::Write,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use support::{
    Client, End, HOUR, PATIENCE, Stream, TestServer, exchange, frame,
    hooked::{Hook, Hooked},
    request, scratch, wait_for,
};
use tickwire_server::tickets::{Grant, TicketRole, Tickets, unix_now};
use tickwire_shared::{
    arena::Arena,
    game::{Game, Input, MatchOptions, Step},
    ids::{EntityId, InputSeq, MatchId, Seat},
    link::frames::{INPUT, MESSAGE},
    rows::Rows,
    schema::{Field, Schema},
    time::TickRate,
    wire::{CLIENT_FRAME_BYTES_MAX, ClientMessage, Hello, PROTOCOL_VERSION, write_client},
};

#[test]
fn players_see_the_match_and_their_inputs_processed() {
    let server = TestServer::start::<Tally>(|_| {});
    let mut players: Vec<_> = (0..3).map(|_| server.join()).collect();
    for player in &mut players {
        player.wait_snapshots(2);
        player.input(&[3]);
    }
    for (seat, player) in players.iter_mut().enumerate() {
        player.wait("its input", |player| player.link.processed() == InputSeq(1));
        assert_eq!(player.link.welcome().unwrap().seat, Some(Seat(seat as u16)));
        player.wait("the tally", |player| {
            let rows = player.link.rows().unwrap();
            rows.len() == 3 && rows.iter().all(|row| row.values[0] >= 3)
        });
        assert_eq!(player.link.owner(), [seat as i32], "only its own secret");
        player.wait("a digest", |player| player.digests > 1);
    }
    assert_eq!(server.metric("tickwire_connections"), 3.0);
    // Of several inputs for one tick only the newest is applied.
    (0..30).for_each(|_| players[0].input(&[0]));
    players[0].wait("its inputs", |player| player.link.processed() == InputSeq(31));
    let dropped = server.metric("tickwire_inputs_dropped_total");
    let starved = server.metric("tickwire_inputs_starved_total");
    assert!(dropped >= 20.0 && starved >= 20.0, "{dropped} dropped, {starved} starved");
    // Counters keep the counts of clients that have left.
    players.iter_mut().for_each(|player| player.send_raw(&frame(0x88, &1000_u16.to_be_bytes())));
    players.iter_mut().for_each(|player| assert_eq!(player.wait_end(), End::Close(1000)));
    assert!(server.metric("tickwire_inputs_dropped_total") >= dropped);
    assert!(server.metric("tickwire_inputs_starved_total") >= starved);
}

#[test]
fn matches_fill_in_order_and_spectators_take_no_seat() {
    let server = TestServer::start::<Tally>(|config| config.seats = 2);
    let ids: Vec<_> = (0..4)
        .map(|_| {
            let mut watching = Client::open(server.addr, "role=spectator", "tickwire.v1");
            watching.say_hello(None);
            watching.wait_snapshots(1);
            assert_eq!(watching.link.welcome().unwrap().seat, None);
            server.join()
        })
        .collect::<Vec<_>>()
        .iter()
        .map(|client| client.link.welcome().unwrap().match_id.0)
        .collect();
    assert_eq!(ids, [1, 1, 2, 2]);
    let mut late = Client::open(server.addr, "match=3", "tickwire.v1");
    assert_eq!(late.wait_end(), End::Close(4011));
}

#[test]
fn a_full_match_refuses() {
    let server = TestServer::start::<Tally>(|config| {
        config.seats = 1;
        config.limits.matches_max = 1;
    });
    let _first = server.join();
    let mut second = Client::open(server.addr, "match=1", "tickwire.v1");
    assert_eq!(second.wait_end(), End::Close(4010));
    // For any match the refusal is temporary: there may be a seat a moment later.
    assert_eq!(server.connect().wait_end(), End::Close(1013));
}

#[test]
fn each_fault_has_its_code_and_harms_nobody_else() {
    let server = TestServer::start::<Tally>(|_| {});
    let mut honest = server.join();
    honest.wait_snapshots(1);
    let (seen, since) = (honest.snapshots, honest.link.applied().unwrap());
    let input = |seq: u32, applied: u32, values: &[u8]| {
        let words = [seq, 0, applied].map(u32::to_le_bytes).concat();
        [&[INPUT], &words[..], &[0, 0], values].concat()
    };
    check(&server, &mut honest, 1002, "bad_framing", |c| c.send_raw(&frame(0xC2, b"")));
    check(&server, &mut honest, 1002, "unmasked", |c| c.send_raw(&[0x82, 1, 0]));
    check(&server, &mut honest, 1003, "text", |c| c.send_raw(&frame(0x81, b"hello")));
    check(&server, &mut honest, 1009, "too_long", |c| {
        c.send(&[0; CLIENT_FRAME_BYTES_MAX + 1]);
    });
    check(&server, &mut honest, 1009, "too_long", |c| {
        c.send_raw(&[0x82, 0xFF, 0x7F, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]);
    });
    check(&server, &mut honest, 1009, "too_long", |c| {
        c.send_raw(&frame(0x02, &[0; CLIENT_FRAME_BYTES_MAX]));
        c.send_raw(&frame(0x80, &[0]));
    });
    check(&server, &mut honest, 4003, "unknown_frame", |c| c.send(&[77]));
    check(&server, &mut honest, 4004, "malformed", |c| c.send(&[]));
    check(&server, &mut honest, 4004, "malformed", |c| c.send(&[MESSAGE, 99]));
    check(&server, &mut honest, 4004, "malformed", |c| {
        let applied = c.link.applied().unwrap();
        c.send(&input(1, applied.0, &[0xFF]));
    });
    check(&server, &mut honest, 4005, "out_of_order", |c| c.say_hello(None));
    check(&server, &mut honest, 4006, "sequence_jump", |c| {
        let applied = c.link.applied().unwrap();
        c.send(&input(2, applied.0, &[0]));
    });
    check(&server, &mut honest, 4007, "never_sent", |c| {
        let applied = c.link.applied().unwrap();
        c.send(&input(1, applied.0 + 1000, &[0]));
    });
    let ticks = honest.link.applied().unwrap().since(since).cast_unsigned();
    let missed = f64::from(ticks - (honest.snapshots - seen));
    // While a busy machine kept this thread from reading.
    let skipped = ["credit", "overload"].map(|reason| {
        server.metric(&format!("tickwire_snapshots_skipped_total{{reason=\"{reason}\"}}"))
    });
    assert!(
        missed <= skipped.iter().sum(),
        "missed {missed}, of which {skipped:?} are accounted for"
    );
}

/// A client joins, misbehaves and is closed with `code`; meanwhile `honest` plays on.
#[track_caller]
fn check(
    server: &TestServer,
    honest: &mut Client,
    code: u16,
    name: &str,
    misbehave: impl FnOnce(&mut Client),
) {
    let counters = ["connections_closed", "frames_refused"]
        .map(|counter| format!("tickwire_{counter}_total{{reason=\"{name}\"}}"));
    let count = || counters.each_ref().map(|counter| server.metric(counter));
    let before = count();
    let mut client = server.join();
    client.wait_snapshots(1);
    misbehave(&mut client);
    assert_eq!(client.wait_end(), End::Close(code), "{name}");
    assert_eq!(count(), before.map(|count| count + 1.0), "{name}");
    honest.wait_snapshots(2);
}

#[test]
fn a_wrong_hello_is_refused() {
    let server = TestServer::start::<Tally>(|_| {});
    let mut wrong = Client::open(server.addr, "match=auto", "chat.v2");
    assert_eq!((wrong.status, wrong.wait_end()), (101, End::Close(4000)));
    let hello =
        |version, schema_hash| Hello { version, schema_hash, resume: None, name: String::new() };
    check_hello(&server, hello(PROTOCOL_VERSION + 1, None), 4001);
    check_hello(&server, hello(PROTOCOL_VERSION, Some(1)), 4002);
    let mut early = server.connect();
    early.send(&[INPUT; 16]);
    assert_eq!(early.wait_end(), End::Close(4005));
}

#[track_caller]
fn check_hello(server: &TestServer, hello: Hello, code: u16) {
    let mut client = server.connect();
    let mut payload = vec![MESSAGE];
    write_client(&ClientMessage::Hello(hello), &mut payload);
    client.send(&payload);
    assert_eq!(client.wait_end(), End::Close(code));
}

#[test]
fn frames_behind_the_handshake_are_not_lost() {
    let server = TestServer::start::<Tally>(|_| {});
    let mut hello = Vec::new();
    tickwire_shared::link::ClientLink::default().write_hello("", None, &mut hello);
    let head = "GET /v1/play HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                sec-websocket-protocol: tickwire.v1\r\n\r\n";
    let mut client = Client::open(server.addr, "match=auto", "tickwire.v1");
    client.stream = Stream::Plain(std::net::TcpStream::connect(server.addr).unwrap());
    let bytes = [head.as_bytes(), &frame(0x82, &hello)].concat();
    client.stream.write_all(&bytes).unwrap();
    let mut byte = [0];
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        std::io::Read::read_exact(&mut client.stream, &mut byte).unwrap();
        answer.push(byte[0]);
    }
    client.wait_snapshots(1);
}

#[test]
fn a_lost_connection_resumes_in_its_seat() {
    let server = TestServer::start::<Tally>(|_| {});
    let mut first = server.join();
    first.wait_snapshots(1);
    first.input(&[2]);
    first.wait("its input", |client| client.link.processed() == InputSeq(1));
    let token = first.link.welcome().unwrap().resume;
    drop(first);

    let mut second = Client::open(server.addr, "match=1&resume=1", "tickwire.v1");
    second.say_hello(Some(token));
    second.wait_snapshots(1);
    let welcome = second.link.welcome().unwrap();
    assert_eq!((welcome.seat, welcome.seq), (Some(Seat(0)), InputSeq(1)));
    assert!(second.link.rows().unwrap().row(0).values[0] >= 2, "the tally goes on");
    second.input(&[1]);
    second.wait("its input", |client| client.link.processed() == InputSeq(2));

    let mut third = Client::open(server.addr, "match=1&resume=1", "tickwire.v1");
    third.say_hello(Some(token));
    third.wait_snapshots(1);
    assert_eq!(second.wait_end(), End::Close(4013), "the newer connection wins");
    assert_eq!(third.link.welcome().unwrap().seat, Some(Seat(0)));
}

#[test]
fn a_seat_is_kept_after_a_loss_and_free_after_a_goodbye() {
    let server = TestServer::start::<Tally>(|config| config.seats = 1);
    let mut polite = server.join();
    polite.send_raw(&frame(0x88, &1000_u16.to_be_bytes()));
    assert_eq!(polite.wait_end(), End::Close(1000));
    let vanishing = server.join();
    assert_eq!(vanishing.link.welcome().unwrap().match_id.0, 1, "the goodbye freed the seat");
    drop(vanishing);
    server.wait_metric("tickwire_connections", 0.0);
    let mut waiting = Client::open(server.addr, "match=1", "tickwire.v1");
    assert_eq!(waiting.wait_end(), End::Close(4010));
}

#[test]
fn a_seat_is_free_after_the_grace_period() {
    let server = TestServer::start::<Tally>(|config| config.resume_grace = Duration::from_secs(1));
    let vanishing = server.join();
    let token = vanishing.link.welcome().unwrap().resume;
    drop(vanishing);
    server.wait_metric("tickwire_players", 0.0);
    let mut late = Client::open(server.addr, "match=1&resume=1", "tickwire.v1");
    late.say_hello(Some(token));
    assert_eq!(late.wait_end(), End::Close(4012));
}

#[test]
fn an_empty_match_ends() {
    let server = TestServer::start::<Tally>(|config| {
        config.match_idle = Duration::from_secs(1);
        config.resume_grace = Duration::ZERO;
    });
    drop(server.join());
    while server.get("/v1/matches/1").0 == 200 {
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(server.get("/v1/matches").1, r#"{"game":"tally","modes":[],"matches":[]}"#);
}

#[test]
fn joining_a_match_that_can_not_be_made_fails_with_its_code() {
    let server = TestServer::start::<Tally>(|config| config.seats = SEATS_MOST + 1);
    for failed in 1..3 {
        let mut client = server.connect();
        client.say_hello(None);
        assert_eq!(client.wait_end(), End::Close(4016));
        assert_eq!(server.metric("tickwire_matches_failed_total"), f64::from(failed));
    }
}

#[test]
fn a_match_that_is_over_ends_and_says_so() {
    let server = TestServer::start::<Tally>(|config| config.seats = 2);
    let mut players = [(); 3].map(|()| server.join());
    players.iter_mut().for_each(|player| player.wait_snapshots(1));
    players[0].input(&[OVER]);
    let [winner, loser, neighbour] = &mut players;
    assert_eq!((winner.wait_end(), loser.wait_end()), (End::Close(4017), End::Close(4017)));
    // Clients got the final events, and the next ones are in another match.
    assert_eq!(winner.link.rows().unwrap().row(0).values, [OVER]);
    let (status, problem) = server.get("/v1/matches/1");
    assert!(status == 404 && problem.contains("the match is over"), "{problem}");
    assert_eq!(server.metric("tickwire_matches_failed_total"), 0.0);
    neighbour.wait_snapshots(5);
    let mut next = server.join();
    next.wait_snapshots(1);
    assert_eq!(next.link.welcome().unwrap().match_id, MatchId(2));
}

#[test]
fn who_comes_back_after_the_end_of_a_match_is_told_that_it_is_over() {
    let server = TestServer::start::<Tally>(|config| config.seats = 2);
    let [mut winner, mut away] = [(); 2].map(|()| server.join());
    winner.wait_snapshots(1);
    away.wait_snapshots(1);
    drop(away.stream);
    winner.input(&[OVER]);
    assert_eq!(winner.wait_end(), End::Close(4017));
    assert_eq!(server.take_up(away.link).wait_end(), End::Close(4017));
    let mut lost = Client::open(server.addr, "match=2&resume=1", "tickwire.v1");
    assert_eq!(lost.wait_end(), End::Close(4011), "there was none");
}

#[test]
fn a_player_whom_the_game_removes_is_told_and_may_join_again() {
    let server = TestServer::start::<Tally>(|config| config.seats = 2);
    let [mut other, mut removed] = [(); 2].map(|()| server.join());
    removed.wait_snapshots(1);
    let token = removed.link.welcome().unwrap().resume;
    removed.input(&[REMOVED]);
    assert_eq!(removed.wait_end(), End::Close(4018));
    assert_eq!(removed.link.rows().unwrap().row(1).values, [TALLY_MAX], "it got that tick");
    let mut back = Client::open(server.addr, "match=1&resume=1", "tickwire.v1");
    back.say_hello(Some(token));
    assert_eq!(back.wait_end(), End::Close(4012));
    let mut again = server.join();
    again.wait_snapshots(1);
    assert_eq!(again.link.welcome().unwrap().seat, Some(Seat(1)));
    assert_eq!(again.link.rows().unwrap().row(1).values, [0]);
    other.wait_snapshots(5);
}

#[test]
fn the_game_is_told_what_the_ticket_says_of_a_player() {
    let secret = scratch("data.secret");
    fs::write(&secret, "a secret of 32 bytes and of more").unwrap();
    let server = TestServer::start::<Tally>(|config| config.tickets.secret_file = Some(secret));
    let tickets = Tickets::with_secret(b"a secret of 32 bytes and of more").unwrap();
    let grant = |role, data| {
        let grant = Grant { subject: "u1", role, match_id: None, name: "", data };
        tickets.issue(&grant, unix_now() + 60).unwrap()
    };
    let operator = grant(TicketRole::Operator, &[]);
    let operator = format!("authorization: Bearer {operator}\r\n");
    let (status, answer) = server.post_with("/v1/join", &operator, r#"{"data":[7,-1]}"#);
    let ticket = answer.split("&ticket=").nth(1).and_then(|rest| rest.split('"').next());
    assert_eq!(status, 200, "{answer}");
    let mut client =
        Client::open(server.addr, &format!("match=auto&ticket={}", ticket.unwrap()), "tickwire.v1");
    client.say_hello(None);
    client.wait("the tally", |client| {
        client.link.rows().is_some_and(|rows| rows.len() == 1 && rows.row(0).values == [7])
    });
    let too_much = format!(r#"{{"data":{:?}}}"#, [0; 17]);
    assert_eq!(server.post_with("/v1/join", &operator, &too_much).0, 400);
    // In the ticket, six bytes for each character of the subject, and four for the name's.
    let (subject, name) = ("\\u0001".repeat(64), "\u{1F600}".repeat(24));
    let long = format!(r#"{{"subject":"{subject}","name":"{name}","data":{:?}}}"#, [i32::MIN; 16]);
    let (status, answer) = server.post_with("/v1/join", &operator, &long);
    assert!(status == 400 && answer.contains("over 1024 bytes"), "{status} {answer}");
    let ticket = grant(TicketRole::Player, &[0; 17]);
    let mut refused =
        Client::open(server.addr, &format!("match=auto&ticket={ticket}"), "tickwire.v1");
    assert_eq!(refused.wait_end(), End::Close(4021));
    let open = TestServer::start::<Tally>(|_| {});
    let (status, answer) = open.post("/v1/join", r#"{"data":[7]}"#);
    assert!(status == 400 && answer.contains("issues none"), "{answer}");
    assert_eq!(open.get("/v1/matches").1.matches("\"id\"").count(), 0, "no match is left behind");
}

#[test]
fn an_operator_signals_a_game() {
    let server = TestServer::start::<Tally>(|_| {});
    let mut client = server.join();
    assert_eq!(server.post("/v1/signals", r#"{"match":1,"values":[40,2]}"#).0, 204);
    client.wait("the tally", |client| {
        client.link.rows().is_some_and(|rows| rows.row(0).values == [42])
    });
    for (body, status) in [
        (r#"{"match":2,"values":[]}"#.to_owned(), 404),
        (format!(r#"{{"match":1,"values":{:?}}}"#, [1; 65]), 400),
        (r#"{"match":1,"values":[3000000000]}"#.to_owned(), 400),
    ] {
        assert_eq!(server.post("/v1/signals", &body).0, status, "{body}");
    }
}

#[test]
fn a_match_that_admits_nobody_counts_as_full() {
    let server = TestServer::start::<Tally>(|config| config.seats = 2);
    let mut first = server.join();
    first.wait_snapshots(1);
    first.input(&[CLOSED]);
    first.wait("the tally", |client| client.link.rows().unwrap().row(0).values == [CLOSED]);
    while server.post("/v1/join", r#"{"match":1}"#).0 != 409 {
        thread::sleep(Duration::from_millis(10));
    }
    let mut refused = Client::open(server.addr, "match=1", "tickwire.v1");
    refused.say_hello(None);
    assert_eq!(refused.wait_end(), End::Close(4010));
    let mut second = server.join();
    second.wait_snapshots(1);
    assert_eq!(second.link.welcome().unwrap().match_id, MatchId(2));
    let token = first.link.welcome().unwrap().resume;
    let mut back = Client::open(server.addr, "match=1&resume=1", "tickwire.v1");
    back.say_hello(Some(token));
    back.wait_snapshots(1);
    back.input(&[1]);
    while server.post("/v1/join", r#"{"match":1}"#).0 != 200 {
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_game_that_panics_ends_alone() {
    let server = TestServer::start::<Tally>(|config| config.seats = 1);
    let mut doomed = server.join();
    let mut neighbour = server.join();
    doomed.wait_snapshots(1);
    doomed.input(&[PANIC]);
    assert_eq!(doomed.wait_end(), End::Close(4016));
    neighbour.wait_snapshots(5);
    assert_eq!(server.get("/v1/matches/1").0, 404);
    assert_eq!(server.metric("tickwire_matches_failed_total"), 1.0);
}

#[test]
fn a_game_that_breaks_its_schema_ends_alone() {
    let server = TestServer::start::<Tally>(|config| config.seats = 1);
    let mut neighbour = server.join();
    for (doomed, input) in [(2, TOO_MUCH), (3, UNKNOWN_EVENT)] {
        let mut client = server.join();
        client.wait_snapshots(1);
        client.input(&[input]);
        assert_eq!(client.wait_end(), End::Close(4016));
        assert_eq!(server.get(&format!("/v1/matches/{doomed}")).0, 404);
    }
    neighbour.wait_snapshots(5);
}

#[test]
fn a_storm_of_spectators_joins_while_the_match_goes_on() {
    let server = TestServer::start::<Hooked<Holds>>(|_| {});
    let mut player = server.join();
    player.wait_snapshots(1);
    let watch = || Client::open(server.addr, "match=1&role=spectator", "tickwire.v1");
    let mut storm: Vec<_> = (0..100).map(|_| watch()).collect();
    // All at once, while one tick lasts.
    IS_HELD.store(true, Ordering::Relaxed);
    while !HOLDS.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(1));
    }
    storm.iter_mut().for_each(|client| client.say_hello(None));
    IS_HELD.store(false, Ordering::Relaxed);
    for client in &mut storm {
        client.wait_snapshots(2);
        assert!(client.digests > 0);
    }
    player.wait_snapshots(5);
    let skipped = server.metric("tickwire_snapshots_skipped_total{reason=\"storm\"}");
    assert!(skipped >= 100.0 - 32.0, "{skipped} waited for a tick more");
    assert_eq!(server.metric("tickwire_spectators"), 100.0);
}

static IS_HELD: AtomicBool = AtomicBool::new(false);
static HOLDS: AtomicBool = AtomicBool::new(false);

/// Holds one step for as long as `IS_HELD` is set.
struct Holds;

impl Hook for Holds {
    fn before_step() {
        while IS_HELD.load(Ordering::Relaxed) {
            HOLDS.store(true, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn a_server_that_drains_lets_the_round_go_on_to_its_end() {
    let (server, mut client) = draining::<Hooked<FirstRound>>(HOUR);
    client.wait_snapshots(10);
    // A proxy does not keep the connection for another request.
    let answer = exchange(server.addr, "GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    assert_eq!(server.connect().wait_end(), End::Close(1012));
    FIRST_IS_OVER.store(true, Ordering::Relaxed);
    assert_eq!(client.wait_end(), End::Close(1012));
    server.drain();
}

#[test]
fn a_round_that_goes_on_for_too_long_ends_with_the_server() {
    let (server, mut client) = draining::<Arena>(Duration::from_secs(1));
    assert_eq!(client.wait_end(), End::Close(1012));
    server.drain();
}

#[test]
fn a_player_resumes_while_the_server_drains() {
    let (server, mut client) = draining::<Hooked<SecondRound>>(HOUR);
    let link = std::mem::take(&mut client.link);
    drop(client);
    // It was the only client, and its seat is kept.
    server.wait_metric("tickwire_connections", 0.0);
    let ticks = server.metric("tickwire_ticks_total");
    wait_for("ten more ticks", || {
        (server.metric("tickwire_ticks_total") >= ticks + 10.0).then_some(())
    });
    let mut back = server.take_up(link);
    back.wait("a word of the end", |client| client.was_told);
    back.wait_snapshots(10);
    let mut nobody = Client::open(server.addr, "match=auto&resume=1", "tickwire.v1");
    assert_eq!(nobody.wait_end(), End::Close(1012));
    SECOND_IS_OVER.store(true, Ordering::Relaxed);
    assert_eq!(back.wait_end(), End::Close(1012));
    server.drain();
}

static FIRST_IS_OVER: AtomicBool = AtomicBool::new(false);
static SECOND_IS_OVER: AtomicBool = AtomicBool::new(false);

/// Rounds that go on until they are over.
struct FirstRound;
struct SecondRound;

impl Hook for FirstRound {
    fn may_end() -> bool {
        FIRST_IS_OVER.load(Ordering::Relaxed)
    }
}

impl Hook for SecondRound {
    fn may_end() -> bool {
        SECOND_IS_OVER.load(Ordering::Relaxed)
    }
}

/// A server that drains within this time, and a client in a running match that was notified.
fn draining<G: Game>(drain_timeout: Duration) -> (TestServer, Client) {
    let mut server = TestServer::start::<G>(|config| config.drain_timeout = drain_timeout);
    let mut client = server.join();
    client.wait_snapshots(1);
    server.begin_drain();
    client.wait("a word of the end", |client| client.was_told);
    (server, client)
}

#[test]
fn draining_notifies_all_clients_and_ends() {
    // Whatever the drain timeout: this game may end at any time.
    let mut server = TestServer::start::<Tally>(|config| config.drain_timeout = HOUR);
    let mut players: Vec<_> = (0..3).map(|_| server.join()).collect();
    server.begin_drain();
    for player in &mut players {
        assert_eq!(player.wait_end(), End::Close(1012));
    }
    drop(players);
    server.drain();
}

#[test]
fn a_client_that_does_not_read_is_skipped_and_catches_up() {
    let server = TestServer::start::<Arena>(|config| {
        (config.npcs, config.tick_rate) = (16, TickRate::new(100).unwrap());
    });
    let mut player = server.join();
    player.wait_snapshots(1);
    let before = player.link.applied().unwrap();
    // Without acknowledgements, credit runs out.
    while server.metric("tickwire_snapshots_skipped_total{reason=\"credit\"}") < 20.0 {
        thread::sleep(Duration::from_millis(50));
    }
    player.wait_snapshots(20);
    while player.link.applied().unwrap().since(before) < 150 {
        player.pump();
    }
    player.wait("a digest", |player| player.digests > 2);
}

#[test]
fn matches_are_listed_in_pages() {
    let server = TestServer::start::<Tally>(|_| {});
    (0..3).for_each(|_| assert_eq!(server.post("/v1/matches", "").0, 201));
    let list = |query: &str| {
        let (status, list) = server.get(&format!("/v1/matches{query}"));
        assert_eq!(status, 200, "{list}");
        let list: serde_json::Value = serde_json::from_str(&list).unwrap();
        let matches = list["matches"].as_array().unwrap();
        let ids: Vec<_> = matches.iter().map(|entry| entry["id"].as_u64().unwrap()).collect();
        (ids, list.get("next").map(|next| next.as_u64().unwrap()))
    };
    assert_eq!(list(""), (vec![1, 2, 3], None));
    assert_eq!(list("?limit=2"), (vec![1, 2], Some(2)));
    assert_eq!(list("?limit=2&after=2"), (vec![3], None));
    assert_eq!(list("?limit=1&after=1"), (vec![2], Some(2)));
    assert_eq!(list("?limit=3"), (vec![1, 2, 3], None));
    assert_eq!(list("?after=4294967295"), (vec![], None));
    for query in
        ["limit=0", "limit=101", "limit=x", "limit=-1", "after=x", "after=4294967296", "page=2"]
    {
        let (status, refused) = server.get(&format!("/v1/matches?{query}"));
        assert_eq!(status, 400, "{query}");
        assert!(refused.starts_with(r#"{"error":{"code":"bad_request""#), "{refused}");
    }
}

#[test]
fn the_api_answers() {
    let server = TestServer::start::<Tally>(|config| config.limits.matches_max = 2);
    assert_eq!(server.post("/v1/matches", "").0, 201);
    assert_eq!(server.get("/v1/matches/1").0, 200);
    let (status, joined) = server.post("/v1/join", r#"{"match":1}"#);
    let url =
        r#"{"match":1,"url":"ws://localhost/v1/play?match=1","ticket":null,"expires_at":null}"#;
    assert_eq!((status, joined.as_str()), (200, url));
    assert_eq!(server.post("/v1/join", "").0, 200);
    let (_, joined) = server.post_with("/v1/join", "x-forwarded-proto: https\r\n", "");
    assert!(joined.contains(r#""url":"wss://localhost/v1/play?match=1""#), "{joined}");
    assert_eq!(server.post("/v1/join", r#"{"match":9}"#).0, 404);
    assert_eq!(server.post("/v1/join", r#"{"room":9}"#).0, 400);
    assert_eq!(server.post("/v1/matches", "").0, 201);
    let (status, refused) = server.post("/v1/matches", "");
    assert_eq!(status, 503);
    assert!(refused.contains(r#""code":"too_many_matches""#), "{refused}");
    assert_eq!(server.get("/v1/matches/77").0, 404);
    assert_eq!(server.get("/v1/play").0, 426);
    assert_eq!(server.get("/v1/play?match=x").0, 400);
    assert_eq!(server.get("/elsewhere").0, 404);
    for path in ["/v1/matches/%ff", "/v1/matches/x/events", "/v1/matches/77/trace"] {
        assert!(server.get(path).1.starts_with(r#"{"error":{"code":"no_match""#), "{path}");
    }
    let (status, refused) = server.post("/v1/notices", &"x".repeat(17 * 1024));
    assert_eq!((status, &refused[..28]), (413, r#"{"error":{"code":"too_long","#));
    assert!(server.post("/v1/notices", "").1.contains("missing field `text`"));
    assert_eq!(server.post("/livez", "").0, 405);
    for path in ["/", "/livez", "/readyz", "/metrics"] {
        assert_eq!(server.get(path).0, 200, "{path}");
    }
}

#[test]
fn heads_that_are_too_long_or_too_slow_are_refused() {
    let server = TestServer::start::<Tally>(|config| {
        config.limits.head_timeout = Duration::from_secs(1);
    });
    let long = format!("GET / HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "a".repeat(10_000));
    assert_eq!(request(server.addr, &long).0, 431);
    let mut slow = std::net::TcpStream::connect(server.addr).unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nhost:").unwrap();
    let mut answer = Vec::new();
    slow.set_read_timeout(Some(PATIENCE)).unwrap();
    std::io::Read::read_to_end(&mut slow, &mut answer).expect("the server gives up");
}

#[test]
fn no_more_connections_than_allowed() {
    let server = TestServer::start::<Tally>(|config| config.limits.connections_max = 2);
    let (_a, b) = (server.join(), server.join());
    let third = Client::open(server.addr, "match=auto", "tickwire.v1");
    assert_eq!(third.status, 503);
    drop(b);
    while Client::open(server.addr, "match=auto", "tickwire.v1").status != 101 {
        thread::sleep(Duration::from_millis(20));
    }
}

/// A game in which each player has a number that inputs add to. One input makes it panic, one ends
/// it, one has its player removed, one keeps new players out, and two break its schema.
#[derive(Debug, Serialize, Deserialize)]
struct Tally {
    seats: Vec<Option<i32>>,
    is_over: bool,
}

const PANIC: i32 = 100;
const TOO_MUCH: i32 = 99;
const UNKNOWN_EVENT: i32 = 98;
const OVER: i32 = 97;
const REMOVED: i32 = 96;
const TALLY_MAX: i32 = 1_000_000;
const CLOSED: i32 = 95;

#[derive(Clone, Debug, Default)]
struct Add(i32);

impl Input for Add {
    fn from_values(values: &[i32]) -> Self {
        Self(values[0])
    }

    fn write_values(&self, values: &mut [i32]) {
        values[0] = self.0;
    }
}

const SEATS_MOST: u16 = 64;

impl Game for Tally {
    type Input = Add;

    fn schema() -> Schema {
        let tally = Field::new("tally", 1.0, 0, TALLY_MAX);
        Schema::new("tally").kind("player", [tally]).owner("secret", 0, 31).input("add", 0, PANIC)
    }

    fn new(options: &MatchOptions) -> Self {
        assert!(options.seats <= SEATS_MOST, "this game has no room for so many");
        Self { seats: vec![None; options.seats.into()], is_over: false }
    }

    fn join(&mut self, seat: Seat) {
        self.join_with(seat, &[]);
    }

    fn join_with(&mut self, seat: Seat, data: &[i32]) {
        self.seats[seat.index()] = Some(data.first().copied().unwrap_or(0));
    }

    fn signal(&mut self, values: &[i32]) {
        self.seats[0] = Some(values.iter().sum());
    }

    fn leave(&mut self, seat: Seat) {
        self.seats[seat.index()] = None;
    }

    fn step(&mut self, step: &mut Step<'_, Add>) {
        for (seat, input) in self.seats.iter_mut().zip(step.inputs) {
            assert!(input.0 != PANIC, "this game can't take it");
            self.is_over |= input.0 == OVER;
            if input.0 == UNKNOWN_EVENT {
                step.events.all(0, &[]);
            }
            if let Some(tally) = seat {
                *tally = match input.0 {
                    REMOVED => TALLY_MAX,
                    CLOSED => CLOSED,
                    more => (*tally + more).min(TALLY_MAX),
                };
                if input.0 == TOO_MUCH {
                    *tally = -1;
                }
            }
        }
    }

    fn write_rows(&self, rows: &mut Rows) {
        for (seat, tally) in self.seats.iter().enumerate() {
            if let Some(tally) = tally {
                rows.push(EntityId(seat as u32), 0, &[*tally]);
            }
        }
    }

    fn is_over(&self) -> bool {
        self.is_over
    }

    fn removes(&self, seat: Seat) -> bool {
        self.seats[seat.index()] == Some(TALLY_MAX)
    }

    fn admits(&self) -> bool {
        self.seats[0] != Some(CLOSED)
    }

    fn write_owner(&self, seat: Seat, values: &mut [i32]) {
        values[0] = i32::from(seat.0);
    }
}
