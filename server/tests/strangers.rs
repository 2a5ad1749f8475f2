//! A server that faces the internet: admission, limits, and TLS.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use support::{
    Client, End, PATIENCE, Stream, TestServer, connect_from, exchange, frame, guarded_server, read,
    request, scratch, tls::Certificate,
};
use tickwire_server::{
    config::Config,
    http::{Origins, Proxies},
    tickets::{Grant, TicketRole, Tickets, unix_now},
};
use tickwire_shared::{arena::Arena, ids::MatchId};

#[test]
fn a_ticket_is_required_and_works_once() {
    let (server, tickets) = guarded_server("once", |_| {});
    check_refused(&server, "match=auto", 4020);
    check_refused(&server, "match=auto&ticket=abc", 4021);
    // A resume needs no ticket, but opens no match.
    check_refused(&server, "match=auto&resume=1", 4011);
    assert_eq!(server.metric("tickwire_matches"), 0.0);
    let ticket = issue(&tickets, TicketRole::Player, None, 60);
    let mut client = enter(&server, &format!("match=auto&ticket={ticket}"));
    client.wait_snapshots(2);
    check_refused(&server, &format!("match=auto&ticket={ticket}"), 4023);
    let late = issue(&tickets, TicketRole::Player, None, 0);
    check_refused(&server, &format!("match=auto&ticket={late}"), 4022);
    let others = Tickets::with_secret(b"another secret of more than 32 bytes").unwrap();
    let forged = issue(&others, TicketRole::Player, None, 60);
    check_refused(&server, &format!("match=auto&ticket={forged}"), 4021);
    assert!(server.metric("tickwire_connections_refused_total{reason=\"no_ticket\"}") > 0.0);
}

#[test]
fn a_ticket_is_for_one_match_and_role() {
    let (server, tickets) = guarded_server("role", |_| {});
    let player = issue(&tickets, TicketRole::Player, None, 60);
    let _first = enter(&server, &format!("match=auto&ticket={player}"));
    let elsewhere = issue(&tickets, TicketRole::Player, Some(MatchId(9)), 60);
    check_refused(&server, &format!("match=1&ticket={elsewhere}"), 4021);
    check_refused(&server, &format!("match=auto&ticket={elsewhere}"), 4011);
    let watcher = issue(&tickets, TicketRole::Spectator, Some(MatchId(1)), 60);
    check_refused(&server, &format!("match=1&ticket={watcher}"), 4021);
    let mut client = enter(&server, &format!("match=1&role=spectator&ticket={watcher}"));
    client.wait_snapshots(2);
    assert_eq!(client.link.welcome().unwrap().seat, None);
}

#[test]
fn a_private_match_is_for_those_whose_ticket_names_it() {
    let (server, tickets) = guarded_server("private", |config| config.tickets.guests = true);
    let operator = issue(&tickets, TicketRole::Operator, None, 60);
    let operator = format!("authorization: Bearer {operator}\r\n");
    let created = server.post_with("/v1/matches", &operator, r#"{"private":true}"#);
    assert_eq!(created.0, 201, "{}", created.1);
    assert!(server.get("/v1/matches").1.contains(r#""matches":[]"#));
    let stranger = issue(&tickets, TicketRole::Player, None, 60);
    check_refused(&server, &format!("match=1&ticket={stranger}"), 4011);
    check_refused(&server, &format!("match=1&role=spectator&ticket={stranger}"), 4011);
    assert_eq!(server.post("/v1/join", r#"{"match":1}"#).0, 404, "a guest");
    assert_eq!(server.post_with("/v1/join", &operator, r#"{"match":1}"#).0, 200);
    let friend = issue(&tickets, TicketRole::Player, Some(MatchId(1)), 60);
    let mut friend = enter(&server, &format!("match=1&ticket={friend}"));
    friend.wait_snapshots(1);
    // The refusals have not used the ticket up.
    let stranger = enter(&server, &format!("match=auto&ticket={stranger}"));
    assert_eq!(stranger.link.welcome().unwrap().match_id, MatchId(2));
}

#[test]
fn an_operator_removes_players() {
    let (server, tickets) = guarded_server("removals", |_| {});
    let operator = issue(&tickets, TicketRole::Operator, None, 60);
    let operator = format!("authorization: Bearer {operator}\r\n");
    let remove = |body: &str| server.post_with("/v1/removals", &operator, body);
    let player = |query: &str, role| {
        let ticket = issue(&tickets, role, None, 60);
        enter(&server, &format!("{query}&ticket={ticket}"))
    };
    let mut first = player("match=auto", TicketRole::Player);
    first.wait_snapshots(1);
    assert_eq!(server.post("/v1/removals", r#"{"subject":"u1"}"#).0, 401, "no operator");
    for body in ["{}", r#"{"match":1}"#, r#"{"match":1,"seat":0,"subject":"u1"}"#] {
        assert_eq!(remove(body).0, 400, "{body}");
    }
    assert_eq!(remove(r#"{"match":9,"seat":0}"#).0, 404);
    assert_eq!(remove(r#"{"match":1,"seat":5}"#), (200, r#"{"removed":0}"#.into()));
    assert_eq!(remove(r#"{"match":1,"seat":0}"#), (200, r#"{"removed":1}"#.into()));
    assert_eq!(first.wait_end(), End::Close(4018));
    assert_eq!(server.take_up(first.link).wait_end(), End::Close(4012), "it can't be resumed");

    let mut second = player("match=auto", TicketRole::Player);
    let mut watcher = player("match=1&role=spectator", TicketRole::Spectator);
    drop(player("match=auto", TicketRole::Player));
    server.wait_metric("tickwire_connections", 2.0);
    let ticket = issue(&tickets, TicketRole::Player, None, 60);
    let mut silent = Client::open(server.addr, &format!("match=1&ticket={ticket}"), "tickwire.v1");
    server.wait_metric("tickwire_connections", 3.0);
    assert_eq!(remove(r#"{"subject":"somebody else"}"#), (200, r#"{"removed":0}"#.into()));
    let why = "one is away, and one has not said hello";
    assert_eq!(remove(r#"{"subject":"u1"}"#), (200, r#"{"removed":4}"#.into()), "{why}");
    for client in [&mut second, &mut watcher, &mut silent] {
        assert_eq!(client.wait_end(), End::Close(4018));
    }
    assert_eq!(server.metric("tickwire_players"), 0.0);
}

#[test]
fn a_subject_has_a_number_of_sessions() {
    let change = |config: &mut Config| config.limits.sessions_per_subject_max = 2;
    let (server, tickets) = guarded_server("subject", change);
    let query = || format!("match=auto&ticket={}", issue(&tickets, TicketRole::Player, None, 60));
    let _both = (enter(&server, &query()), enter(&server, &query()));
    check_refused(&server, &query(), 4024);
}

#[test]
fn operators_routes_require_an_operators_token() {
    let (server, tickets) = guarded_server("operator", |config| config.seats = 1);
    let operator = issue(&tickets, TicketRole::Operator, None, 86_400);
    let player = issue(&tickets, TicketRole::Player, None, 60);
    let with = |token: &str| format!("authorization: Bearer {token}\r\n");
    for path in ["/v1/matches", "/v1/join"] {
        assert_eq!(server.post(path, "").0, 401, "{path}");
        assert_eq!(server.post_with(path, &with(&player), "").0, 401, "{path}");
    }
    let (_, told) = server.post_with("/v1/matches", &with(&player), "");
    assert!(told.contains("this one is for another role"), "{told}");
    let late = issue(&tickets, TicketRole::Operator, None, 0);
    let (_, told) = server.post_with("/v1/matches", &with(&late), "");
    assert!(told.contains("expired"), "{told}");
    let (status, told) = server.post_with("/v1/matches", &with(&operator), r#"{"seats":4}"#);
    assert!(status == 400 && told.contains("seats"), "an unknown member is refused: {told}");
    assert_eq!(server.post_with("/v1/matches", &with(&operator), "{}").0, 201);
    let spelled = with(&operator).replace("Bearer ", "bearer  ");
    assert_eq!(server.post_with("/v1/matches", &spelled, "{}").0, 201);
    let long = "x".repeat(65);
    for (subject, name, flaw) in [
        ("", "Ada", "subject must have 1 to 64 bytes"),
        (&*long, "Ada", "subject must have 1 to 64 bytes"),
        ("u7", &long, "name must have at most 24 characters"),
        ("u7", "A\\u0007da", "no control characters"),
    ] {
        let body = format!(r#"{{"subject":"{subject}","name":"{name}"}}"#);
        let (status, told) = server.post_with("/v1/join", &with(&operator), &body);
        assert!(status == 400 && told.contains(flaw), "{told}");
    }
    let body = r#"{"subject":"u7","name":"Ada","match":1}"#;
    let (status, joined) = server.post_with("/v1/join", &with(&operator), body);
    assert_eq!(status, 200, "{joined}");
    let joined: serde_json::Value = serde_json::from_str(&joined).unwrap();
    let (_, query) = joined["url"].as_str().unwrap().split_once('?').unwrap();
    let mut client = enter(&server, query);
    client.wait_snapshots(2);
    // Whoever only watches needs no free seat.
    let (status, joined) = server.post_with("/v1/join", &with(&operator), body);
    assert_eq!(status, 409, "{joined}");
    let body = r#"{"subject":"u8","role":"spectator","match":1}"#;
    let (status, joined) = server.post_with("/v1/join", &with(&operator), body);
    assert_eq!(status, 200, "{joined}");
}

#[test]
fn a_new_key_is_reloaded_and_the_old_one_stays_valid_for_a_while() {
    let (server, before) = guarded_server("rotated", |_| {});
    let ask = |tickets: &Tickets| {
        let token = issue(tickets, TicketRole::Operator, None, 600);
        server.post_with("/v1/join", &format!("authorization: Bearer {token}\r\n"), "").0
    };
    let secret = b"another secret of more than 32 bytes";
    let after = Tickets::with_secret(secret).unwrap();
    assert_eq!((ask(&before), ask(&after)), (200, 401));
    std::fs::write(scratch("rotated.secret"), "half").unwrap();
    server.wait_metric("tickwire_reloads_failing", 1.0);
    assert_eq!((ask(&before), ask(&after)), (200, 401));
    std::fs::write(scratch("rotated.secret"), secret).unwrap();
    server.wait_metric("tickwire_reloads_failing", 0.0);
    assert_eq!((ask(&before), ask(&after)), (200, 200));
}

#[test]
fn guests_get_a_ticket_to_play_or_watch_and_no_other() {
    let (server, tickets) = guarded_server("guests", |config| {
        config.tickets.guests = true;
        config.seats = 1;
    });
    assert_eq!(server.post("/v1/join", r#"{"role":"operator"}"#).0, 403);
    assert_eq!(server.post("/v1/join", r#"{"subject":"u7"}"#).0, 403);
    let late = issue(&tickets, TicketRole::Operator, None, 0);
    let shown = format!("authorization: Bearer {late}\r\n");
    let (status, told) = server.post_with("/v1/join", &shown, r#"{"subject":"u7"}"#);
    assert!(status == 401 && told.contains("the ticket has expired"), "{told}");
    let long = format!(r#"{{"name":"{}"}}"#, "a".repeat(25));
    assert_eq!(server.post("/v1/join", &long).0, 400);
    let join = |body: &str| {
        let (status, joined) = server.post("/v1/join", body);
        assert_eq!(status, 200, "{joined}");
        let joined: serde_json::Value = serde_json::from_str(&joined).unwrap();
        let (_, query) = joined["url"].as_str().unwrap().split_once('?').unwrap();
        enter(&server, query)
    };
    let mut player = join(r#"{"name":"Ada"}"#);
    player.wait_snapshots(2);
    // Whoever only watches needs no free seat.
    assert_eq!(server.post("/v1/join", r#"{"match":1}"#).0, 409);
    assert_eq!(server.post("/v1/join", r#"{"match":"auto"}"#).0, 200);
    for wrong in [r#""1""#, "-1", "1.5", "4294967296", "[]"] {
        let (status, told) = server.post("/v1/join", &format!(r#"{{"match":{wrong}}}"#));
        assert!(status == 400 && told.contains("match is `auto` or a match id"), "{told}");
    }
    join(r#"{"match":1,"role":"spectator"}"#).wait_snapshots(2);
}

#[test]
fn pages_of_other_origins_are_refused_unless_named() {
    let server = start(|config| config.origins = origins());
    let open = |origin: &str| {
        let stream = Stream::Plain(TcpStream::connect(server.addr).unwrap());
        let headers = format!("sec-websocket-protocol: tickwire.v1\r\norigin: {origin}\r\n");
        Client::open_on(stream, "match=auto", &headers).status
    };
    assert_eq!(open("https://evil.example"), 403);
    assert_eq!(open("https://play.example"), 101);
    assert_eq!(open("http://localhost"), 101, "its own page");
    let post = |origin: &str| server.post_with("/v1/join", &format!("origin: {origin}\r\n"), "").0;
    assert_eq!((post("https://evil.example"), post("https://play.example")), (403, 200));
}

#[test]
fn a_request_for_another_host_is_no_operators() {
    let server = start(|_| {});
    let status = |host: &str| {
        let head = format!("POST /v1/matches HTTP/1.1\r\nhost: {host}\r\n");
        let rest =
            format!("origin: http://{host}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        request(server.addr, &(head + &rest)).0
    };
    assert_eq!((status("localhost"), status("evil.example")), (201, 403));
    // A client behind a proxy on this machine may send any Host.
    for header in [
        "x-forwarded-for: 203.0.113.1\r\n",
        "x-forwarded-host: localhost\r\n",
        "x-real-ip: 203.0.113.1\r\n",
        "via: 1.1 proxy\r\n",
        "forwarded: for=203.0.113.1\r\n",
        "host: evil.example\r\n",
    ] {
        assert_eq!(server.post_with("/v1/matches", header, "").0, 403, "{header}");
    }
}

#[test]
fn the_health_port_answers_when_the_server_is_full() {
    let server = start(|config| {
        config.health_listen = Some((Ipv4Addr::LOCALHOST, 0).into());
        config.limits.connections_max = 1;
    });
    let get = |path: &str| {
        let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        request(server.health.unwrap(), &head)
    };
    let (_, before) = get("/metrics");
    assert!(before.contains("\ntickwire_connections_free 1\n"), "{before}");
    let _player = server.join();
    assert_eq!(status_from(1, server.addr), 503);
    assert_eq!((get("/livez").0, get("/v1/matches").0), (200, 404));
    let (status, said) = get("/readyz");
    assert!(status == 503 && said.contains("at_capacity"), "{status} {said}");
    let (_, metrics) = get("/metrics");
    let told = ["connections_free 0", "players 1", "seats 16", "spectators 0", "draining 0"];
    for line in told.into_iter().chain(["tick_time_seconds_bucket{le=\"+Inf\"} "]) {
        assert!(metrics.contains(&format!("\ntickwire_{line}")), "{line} is not in {metrics}");
    }
}

#[test]
fn a_server_without_a_free_seat_is_not_ready() {
    let server = start(|config| (config.seats, config.limits.matches_max) = (2, 1));
    let _first = server.join();
    assert_eq!(server.get("/readyz").0, 200);
    let mut second = server.join();
    let (status, said) = server.get("/readyz");
    assert!(status == 503 && said.contains("too_many_matches"), "{status} {said}");
    second.send_raw(&frame(0x88, &1000_u16.to_be_bytes()));
    let start = Instant::now();
    while server.get("/readyz").0 != 200 {
        assert!(start.elapsed() < PATIENCE);
    }
}

#[test]
fn what_is_no_request_is_counted() {
    let files = Certificate::new("counted");
    let server = start(|_| {});
    let mut guarded = start(|config| {
        config.tls = Some(files.config());
        config.health_listen = Some((Ipv4Addr::LOCALHOST, 0).into());
    });
    // What a load balancer sends with the PROXY protocol, before a request that would be served.
    let request = "GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let line = "PROXY TCP4 203.0.113.5 192.0.2.1 4711 443\r\n";
    let answer = exchange(server.addr, &format!("{line}{request}"));
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let refused = |reason| format!("tickwire_connections_refused_total{{reason=\"{reason}\"}}");
    server.wait_metric(&refused("malformed_request"), 1.0);
    // A check whether the port is open is none.
    let mut check = TcpStream::connect(guarded.addr).unwrap();
    check.shutdown(Shutdown::Write).unwrap();
    check.read_to_end(&mut Vec::new()).unwrap();
    TcpStream::connect(guarded.addr).unwrap().write_all(request.as_bytes()).unwrap();
    guarded.addr = guarded.health.unwrap();
    guarded.wait_metric(&refused("tls_failed"), 1.0);
}

#[test]
fn a_join_returns_the_public_url() {
    let server = start(|config| config.public_url = Some("wss://eu-1.play.example/game/".into()));
    let (_, joined) = server.post("/v1/join", "");
    assert!(joined.contains(r#""url":"wss://eu-1.play.example/game/v1/play?match=1""#), "{joined}");
}

#[test]
fn pages_of_named_origins_may_use_the_whole_api() {
    let server = start(|config| config.origins = origins());
    let preflight = |origin: &str| {
        let head = format!(
            "OPTIONS /v1/events HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\norigin: {origin}\r\n\
             access-control-request-method: GET\r\n\
             access-control-request-headers: last-event-id\r\n\r\n"
        );
        exchange(server.addr, &head)
    };
    let allowed = preflight("https://play.example");
    assert!(allowed.starts_with("HTTP/1.1 204"), "{allowed}");
    for line in [
        "access-control-allow-origin: https://play.example\r\n",
        "access-control-allow-methods: GET, POST\r\n",
        "access-control-max-age: 7200\r\n",
        "access-control-allow-headers: authorization, content-type, last-event-id\r\n",
    ] {
        assert!(allowed.contains(line), "{allowed}");
    }
    let refused = preflight("https://evil.example");
    assert!(
        refused.starts_with("HTTP/1.1 403") && !refused.contains("access-control"),
        "{refused}"
    );
}

#[test]
fn every_answer_has_the_headers_that_protect_a_page() {
    let server = start(|_| {});
    let request = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let answer = exchange(server.addr, request);
    for line in
        ["x-content-type-options: nosniff", "x-frame-options: DENY", "content-security-policy: "]
    {
        assert!(answer.contains(line), "{line}");
    }
}

#[test]
fn an_address_has_its_share_of_connections() {
    let server = start(|config| {
        config.limits.connections_per_address_max = 3;
    });
    let held: Vec<_> = (0..3).map(|_| connect_from(2, server.addr)).collect();
    assert_eq!(status_from(2, server.addr), 429);
    assert_eq!(status_from(3, server.addr), 200);
    drop(held);
    let start = Instant::now();
    while status_from(2, server.addr) != 200 {
        assert!(start.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(server.metric("tickwire_connections_refused_total{reason=\"address_full\"}") >= 1.0);
}

#[test]
fn an_address_has_its_share_of_kept_seats() {
    let server = start(|config| config.limits.connections_per_address_max = 2);
    for n in 1..=5 {
        let stream = Stream::Plain(connect_from(40, server.addr));
        let offer = "sec-websocket-protocol: tickwire.v1\r\n";
        let mut client = Client::open_on(stream, "match=auto", offer);
        client.say_hello(None);
        client.wait_welcome();
        drop(client);
        server.wait_metric("tickwire_connections", 0.0);
        server.wait_metric("tickwire_players", f64::from(n.min(2)));
    }
}

#[test]
fn a_connection_that_fails_to_upgrade_keeps_its_place() {
    let server = start(|config| config.limits.connections_per_address_max = 2);
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut stream = connect_from(9, server.addr);
        stream
            .write_all(b"GET /v1/play HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
            .unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        assert_eq!(&status, b"HTTP/1.1 400");
        open.push(stream);
    }
    assert_eq!(status_from(9, server.addr), 429);
}

#[test]
fn behind_a_proxy_each_client_has_its_own_limits() {
    let server = start(|config| {
        config.proxies = Proxies::new(&["127.0.0.1".into()]).unwrap();
        config.limits.connections_per_address_max = 2;
    });
    let send = |path: &str, said: &str, rest: &str| {
        let mut stream = TcpStream::connect(server.addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head =
            format!("GET {path} HTTP/1.1\r\nhost: x\r\nx-forwarded-for: {said}\r\n{rest}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        (String::from_utf8(status.to_vec()).unwrap(), stream)
    };
    let upgrade = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                   sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
                   sec-websocket-protocol: tickwire.v1\r\n";
    let enter = |said: &str| send("/v1/play", said, upgrade);
    let [ada, bob] = ["203.0.113.1", "203.0.113.2"];
    let held = [ada, ada, bob].map(enter);
    assert!(held.iter().all(|(status, _)| status == "HTTP/1.1 101"), "{held:?}");
    assert_eq!(enter(ada).0, "HTTP/1.1 429");
    assert_eq!(enter("203.0.113.9, 203.0.113.1").0, "HTTP/1.1 429", "her own word is not taken");
    assert_eq!(enter(bob).0, "HTTP/1.1 101");
    // One address may read as many feeds.
    let follow = |path: &str| send(path, "203.0.113.3", "");
    let following = ["/v1/events", "/v1/monitor"].map(follow);
    assert!(following.iter().all(|(status, _)| status == "HTTP/1.1 200"), "{following:?}");
    assert_eq!(follow("/v1/events").0, "HTTP/1.1 429");
    let refused = "tickwire_connections_refused_total{reason=\"address_full\"}";
    assert_eq!(server.metric(refused), 3.0);
}

#[test]
fn a_proxy_may_keep_a_connection_for_its_next_request() {
    let server = start(|config| {
        config.proxies = Proxies::new(&["127.0.0.2".into()]).unwrap();
        config.limits.head_timeout = Duration::from_secs(1);
        config.limits.connections_max = 4;
    });
    let ask = b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut answer = [0; 1024];
    let [mut proxy, mut client] = [2, 3].map(|host| connect_from(host, server.addr));
    for stream in [&mut proxy, &mut client] {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(ask).unwrap();
        assert_ne!(read(stream, &mut answer), 0);
    }
    assert_eq!(read(&mut client, &mut answer), 0, "others must be quick");
    proxy.write_all(ask).unwrap();
    assert_ne!(read(&mut proxy, &mut answer), 0);
    // Two of four connections are others', and it must make room.
    let _players = [server.join(), server.join()];
    assert_eq!(read(&mut proxy, &mut answer), 0);
}

#[test]
fn a_client_behind_a_proxy_can_not_take_all_connections_with_slow_bodies() {
    let server = start(|config| {
        config.proxies = Proxies::new(&["127.0.0.1".into()]).unwrap();
        config.limits.connections_per_address_max = 2;
    });
    let post = |from: &str, body: &str| {
        let mut stream = TcpStream::connect(server.addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!("POST /v1/join HTTP/1.1\r\nhost: x\r\nx-forwarded-for: {from}\r\n");
        stream.write_all(format!("{head}content-length: 2\r\n\r\n{body}").as_bytes()).unwrap();
        stream
    };
    let status = |mut stream: TcpStream| {
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        String::from_utf8(answer.to_vec()).unwrap()
    };
    let mut slow = [(); 2].map(|()| post("203.0.113.1", "{"));
    server.wait_metric("tickwire_connections_free", 9_997.0);
    assert_eq!(status(post("203.0.113.1", "{")), "HTTP/1.1 429");
    assert_eq!(status(post("203.0.113.2", "{}")), "HTTP/1.1 200");
    slow[0].write_all(b"}").unwrap();
    let [first, _second] = slow;
    assert_eq!(status(first), "HTTP/1.1 200");
    assert_eq!(status(post("203.0.113.1", "{}")), "HTTP/1.1 200");
}

#[test]
fn an_address_connects_at_its_rate() {
    let server = start(|config| config.limits.connects_per_address_hz = 1);
    (0..4).for_each(|_| assert_eq!(status_from(2, server.addr), 200));
    assert!((0..1_000).any(|_| status_from(2, server.addr) == 429));
    assert_eq!(status_from(1, server.addr), 200, "this machine itself is not limited");
}

#[test]
fn an_address_sends_requests_at_its_rate_on_a_kept_connection_too() {
    let server = start(|config| config.limits.requests_per_address_hz = 1);
    let mut stream = connect_from(2, server.addr);
    let ask = b"GET /v1/matches HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let last = b"GET /v1/matches HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(&[ask.repeat(20).as_slice(), last].concat()).unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    let count = |status: &str| answers.matches(&format!("HTTP/1.1 {status}")).count();
    assert!(count("200") >= 4 && count("429") > 10, "{answers}");
    assert_eq!(count("200") + count("429"), 21);
    assert_eq!(answers.matches("retry-after: 1\r\n").count(), count("429"));
    assert_eq!(status_from(1, server.addr), 200, "this machine itself is not limited");
}

#[test]
fn operators_requests_are_not_rate_limited() {
    let (server, tickets) =
        guarded_server("often", |config| config.limits.requests_per_address_hz = 1);
    let ask = |role| {
        let token = issue(&tickets, role, None, 60);
        let mut stream = connect_from(2, server.addr);
        let head = format!(
            "POST /v1/join HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n"
        );
        let ask = format!("{head}content-length: 0\r\n\r\n").repeat(20);
        let last = format!("{head}connection: close\r\ncontent-length: 0\r\n\r\n");
        stream.write_all((ask + &last).as_bytes()).unwrap();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).unwrap();
        ["200", "401", "429"].map(|code| answers.matches(&format!("HTTP/1.1 {code}")).count())
    };
    assert_eq!(ask(TicketRole::Operator), [21, 0, 0]);
    let [ok, _, too_often] = ask(TicketRole::Player);
    assert!(ok == 0 && too_often > 10, "{too_often}");
}

#[test]
fn silent_connections_lock_nobody_out() {
    let files = Certificate::new("crowd");
    for files in [None, Some(&files)] {
        let server = start(|config| {
            config.tls = files.map(Certificate::config);
            config.limits.handshakes_max = 8;
        });
        let mut crowd: Vec<_> = (0..20).map(|_| connect_from(7, server.addr)).collect();
        let mut player = join(&server, files);
        player.wait_snapshots(2);
        let mut byte = [0];
        for silent in &mut crowd[..12] {
            silent.set_read_timeout(Some(PATIENCE)).unwrap();
            assert_eq!(read(silent, &mut byte), 0, "the oldest is evicted");
        }
        if files.is_none() {
            let gone = "tickwire_connections_refused_total{reason=\"unheard\"}";
            assert!(server.metric(gone) >= 12.0);
        }
    }
}

#[test]
fn a_client_that_sends_too_much_is_closed() {
    let server = start(|config| config.limits.messages_hz = 10);
    let mut pings = server.join();
    for _ in 0..200 {
        pings.send_raw(&frame(0x89, b"x"));
    }
    assert_eq!(pings.wait_end(), End::Close(4025));
    // Fragments that never complete a message count by their bytes.
    let mut fragments = server.join();
    fragments.send_raw(&frame(0x02, b""));
    fragments.send_raw(&frame(0x00, b"").repeat(2000));
    assert_eq!(fragments.wait_end(), End::Close(4025));
}

#[test]
fn a_client_without_hello_or_messages_is_closed() {
    let impatient = start(|config| config.limits.hello_timeout = Duration::from_secs(1));
    assert_eq!(impatient.connect().wait_end(), End::Close(4014));
    let impatient = start(|config| config.limits.idle_timeout = Duration::from_secs(1));
    assert_eq!(impatient.join().wait_end(), End::Close(4014));
}

#[test]
fn a_client_that_reads_nothing_is_closed_though_it_keeps_sending() {
    let server = start(|config| config.limits.stall_timeout = Duration::from_secs(1));
    let mut zombie = server.join();
    zombie.wait_snapshots(1);
    let start = Instant::now();
    while server.metric("tickwire_connections_closed_total{reason=\"too_slow\"}") < 1.0 {
        assert!(start.elapsed() < PATIENCE, "it is still there");
        zombie.send_raw(&frame(0x8A, b"alive"));
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_slow_client_that_reads_again_gets_its_close_reason() {
    let files = Certificate::new("slow");
    for files in [None, Some(&files)] {
        let server = start(|config| {
            config.tls = files.map(Certificate::config);
            config.health_listen = Some((Ipv4Addr::LOCALHOST, 0).into());
            config.limits.messages_hz = 1_000_000;
        });
        let mut slow = join(&server, files);
        slow.wait_snapshots(1);
        let start = Instant::now();
        let is_closed = || {
            let head = "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
            let (_, page) = request(server.health.unwrap(), head);
            page.contains("tickwire_connections_closed_total{reason=\"too_slow\"} 1\n")
        };
        while !is_closed() {
            assert!(start.elapsed() < PATIENCE, "its outbox is not bounded");
            slow.send_raw(&frame(0x89, &[b'?'; 125]).repeat(100));
        }
        assert_eq!(slow.wait_end(), End::Close(4015));
    }
}

#[test]
fn a_connection_without_a_close_frame_counts_as_lost() {
    let server = start(|_| {});
    let ended = |reason| {
        server.metric(&format!("tickwire_connections_closed_total{{reason=\"{reason}\"}}"))
    };
    for _ in 0..50 {
        // The client is gone, with a reset, before it could be answered.
        let mut hasty = server.connect();
        hasty.say_hello(None);
        socket2::SockRef::from(hasty.stream.tcp()).set_linger(Some(Duration::ZERO)).unwrap();
    }
    let mut leaver = server.join();
    leaver.wait_snapshots(1);
    drop(leaver);
    let start = Instant::now();
    while ended("lost") < 51.0 {
        assert!(start.elapsed() < PATIENCE, "{} are lost", ended("lost"));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!((ended("too_slow"), ended("left")), (0.0, 0.0));
}

/// Three seconds, where the limit allows for 20.
#[test]
fn a_client_that_stops_reading_gets_half_a_second_of_the_past_and_then_the_present() {
    let server = start(|_| {});
    let (mut stalled, mut neighbour) = (server.join(), server.join());
    stalled.wait_snapshots(10);
    let (before, since) = (stalled.snapshots, stalled.link.applied().unwrap());
    neighbour.wait("three seconds", |client| {
        client.link.applied().is_some_and(|tick| tick.since(since) > 90)
    });
    let skipped = server.metric("tickwire_snapshots_skipped_total{reason=\"credit\"}");
    let present = neighbour.link.applied().unwrap();
    stalled.wait("the present", |client| {
        client.link.applied().is_some_and(|tick| tick.since(present) > 0)
    });
    let waited = stalled.snapshots - before;
    // More than half a second on a machine that is too busy to acknowledge at once.
    assert!(waited < 60, "{waited} snapshots of the 90 that were missed");
    assert!(skipped > 20.0, "{skipped} were left out");
}

#[test]
fn a_body_that_trickles_in_is_cut_off() {
    let server = start(|_| {});
    let begun = "POST /v1/join HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{";
    assert_eq!(request(server.addr, &format!("{begun}\"")).0, 408);
}

#[test]
fn matches_are_played_over_tls() {
    let files = Certificate::new("played");
    let server = start(|config| config.tls = Some(files.config()));
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut client = files.join(server.addr, version);
        client.wait_snapshots(20);
        for _ in 0..5 {
            input_anything(&mut client);
        }
        client.wait("inputs processed", |client| client.link.processed().0 >= 5);
        client.send_raw(&frame(0x88, &1000_u16.to_be_bytes()));
        assert_eq!(client.wait_end(), End::Close(1000));
        let mut refused = files.open(server.addr, version, "match=9");
        assert_eq!(refused.wait_end(), End::Close(4011), "a refusal has its code");
    }
    let mut plain = TcpStream::connect(server.addr).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "the port speaks nothing but TLS");
}

#[test]
fn a_client_that_floods_key_updates_is_closed() {
    let files = Certificate::new("keys");
    let server = start(|config| config.tls = Some(files.config()));
    let mut client = files.join(server.addr, &rustls::version::TLS13);
    client.wait_snapshots(1);
    let pong = frame(0x8A, &[]);
    for byte in pong.iter().cycle().take(400) {
        let Stream::Tls(session) = &mut client.stream else { unreachable!() };
        // As many key updates as rustls accepts between two bytes of plaintext.
        (0..32).for_each(|_| session.conn.refresh_traffic_keys().unwrap());
        client.send_raw(&[*byte]);
    }
    assert_eq!(client.wait_end(), End::Close(4025));
}

#[test]
fn many_pings_at_once_cost_few_writes() {
    let files = Certificate::new("asked");
    let server = start(|config| config.tls = Some(files.config()));
    let mut client = files.join(server.addr, &rustls::version::TLS13);
    client.wait_snapshots(1);
    client.send_raw(&frame(0x89, b"?").repeat(1_000));
    let Stream::Tls(session) = &mut client.stream else { unreachable!() };
    // Each write is a TLS record.
    let (mut records, mut bytes) = (0, 0);
    while bytes < 3 * 1_000 {
        let mut head = [0; 5];
        session.sock.read_exact(&mut head).unwrap();
        let mut record = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
        session.sock.read_exact(&mut record).unwrap();
        records += 1;
        bytes += record.len() - 17;
    }
    assert!(records < 100, "{records} records of {bytes} bytes");
}

#[test]
fn a_new_certificate_is_used_without_dropping_sessions() {
    let files = Certificate::new("reloaded");
    let server = start(|config| config.tls = Some(files.config()));
    let mut before = files.join(server.addr, &rustls::version::TLS13);
    before.wait_snapshots(1);
    let renewed = Certificate::new("reloaded");
    let start = Instant::now();
    while !renewed.is_presented_by(server.addr) {
        assert!(start.elapsed() < PATIENCE, "the old certificate stays");
        std::thread::sleep(Duration::from_millis(200));
        input_anything(&mut before);
        before.pump();
    }
    before.wait_snapshots(5);
}

fn start(change: impl FnOnce(&mut Config)) -> TestServer {
    TestServer::start::<Arena>(change)
}

fn origins() -> Origins {
    Origins::new(vec!["https://play.example".into()]).unwrap()
}

fn issue(tickets: &Tickets, role: TicketRole, match_id: Option<MatchId>, life: u64) -> String {
    let grant = Grant { subject: "u1", role, match_id, name: "Ada", data: &[] };
    tickets.issue(&grant, unix_now() + life).unwrap()
}

fn enter(server: &TestServer, query: &str) -> Client {
    let mut client = Client::open(server.addr, query, "tickwire.v1");
    client.say_hello(None);
    client.wait_welcome();
    client
}

/// A client, over TLS if there is a certificate.
fn join(server: &TestServer, files: Option<&Certificate>) -> Client {
    match files {
        Some(files) => files.join(server.addr, &rustls::version::TLS13),
        None => server.join(),
    }
}

fn input_anything(client: &mut Client) {
    let schema = client.link.schema().unwrap();
    let values: Vec<_> = schema.input.iter().map(|input| input.min).collect();
    client.input(&values);
}

#[track_caller]
fn check_refused(server: &TestServer, query: &str, code: u16) {
    let mut client = Client::open(server.addr, query, "tickwire.v1");
    assert_eq!(client.status, 101);
    assert_eq!(client.wait_end(), End::Close(code));
}

/// A connection from 127.0.0.`host`.
fn status_from(host: u8, to: SocketAddr) -> u16 {
    let mut stream = connect_from(host, to);
    let _ = stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer[9..12]).parse().unwrap()
}
