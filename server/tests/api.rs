//! The HTTP API as its users rely on it: a studio's backend, pages and dashboards.

mod support;

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use support::{TestServer, exchange, guarded_server};
use tickwire_server::{
    http::{Origins, Proxies},
    tickets::{Grant, TicketRole, unix_now},
};
use tickwire_shared::arena::Arena;

#[test]
fn refusals_say_how_to_be_accepted() {
    let (server, _) = guarded_server("remedy", |_| {});
    let told = ask(server.addr, "GET /v1/overruns", "");
    assert!(told.starts_with("HTTP/1.1 401 "), "{told}");
    assert!(told.contains("\r\nwww-authenticate: Bearer\r\n"), "{told}");
    let told = ask(server.addr, "GET /v1/play", "");
    assert!(told.starts_with("HTTP/1.1 426 "), "{told}");
    assert!(told.contains("\r\nupgrade: websocket\r\n"), "{told}");
}

#[test]
fn a_refused_join_opens_no_match() {
    let (server, _) = guarded_server("unopened", |config| config.tickets.guests = true);
    let long = format!(r#"{{"name":"{}"}}"#, "a".repeat(25));
    assert_eq!(server.post("/v1/join", &long).0, 400);
    for host in ["", "a b", "play.example/game"] {
        let head = format!("POST /v1/join HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        let answer = exchange(server.addr, &head);
        assert!(answer.starts_with("HTTP/1.1 400 "), "nobody can connect to `{host}`: {answer}");
    }
    let (_, list) = server.get("/v1/matches");
    assert!(list.contains(r#""matches":[]"#), "{list}");
}

#[test]
fn a_page_of_a_named_origin_may_read_a_rate_limit_error() {
    let server = TestServer::start::<Arena>(|config| {
        config.origins = Origins::new(vec!["https://play.example".into()]).unwrap();
        config.proxies = Proxies::new(&["127.0.0.1".into()]).unwrap();
        config.limits.requests_per_address_hz = 1;
    });
    let headers = "origin: https://play.example\r\nx-forwarded-for: 203.0.113.5\r\n";
    let mut answers = (0..1_000).map(|_| ask(server.addr, "GET /v1/matches", headers));
    let refused = answers.find(|answer| answer.starts_with("HTTP/1.1 429 ")).unwrap();
    for line in [
        "retry-after: 1\r\n",
        "access-control-allow-origin: https://play.example\r\n",
        "access-control-expose-headers: location, retry-after, www-authenticate\r\n",
        "x-content-type-options: nosniff\r\n",
    ] {
        assert!(refused.contains(line), "{line} is not in {refused}");
    }
}

#[test]
fn unknown_routes_are_problems_on_the_health_port_too() {
    let server = TestServer::start::<Arena>(|config| {
        config.health_listen = Some((Ipv4Addr::LOCALHOST, 0).into());
    });
    for addr in [server.addr, server.health.unwrap()] {
        let told = ask(addr, "GET /healthz", "");
        assert!(told.starts_with("HTTP/1.1 404 ") && told.contains("\"not_found\""), "{told}");
        let told = ask(addr, "PUT /livez", "");
        assert!(told.starts_with("HTTP/1.1 405 "), "{told}");
        assert!(told.contains("\"method_not_allowed\""), "{told}");
        assert!(told.contains("\r\nallow: GET,HEAD\r\n"), "{told}");
    }
}

#[test]
fn costs_of_a_match_are_counted_from_zero() {
    let server = TestServer::start::<Arena>(|_| {});
    let (_, page) = server.get("/metrics");
    assert!(page.contains("\ntickwire_snapshot_bits_total{field=\"player.x\"} 0\n"), "{page}");
}

#[test]
fn optional_members_may_be_null() {
    let server = TestServer::start::<Arena>(|_| {});
    let all = r#"{"match":null,"mode":null,"subject":null,"role":null,"name":null}"#;
    for (path, body) in [
        ("/v1/join", all),
        ("/v1/matches", r#"{"mode":null}"#),
        ("/v1/chat", r#"{"name":null,"text":"hello"}"#),
        ("/v1/notices", r#"{"match":null,"text":"hello"}"#),
    ] {
        let (status, told) = server.post(path, body);
        assert!(matches!(status, 200 | 201), "{path}: {told}");
    }
}

#[test]
fn a_refusal_before_the_body_has_arrived_keeps_the_connection() {
    let (server, _) = guarded_server("unread", |_| {});
    for (line, headers, status) in [
        ("POST /v1/notices", "", "401"),
        ("POST /v1/join", "origin: https://evil.example\r\n", "403"),
        ("POST /healthz", "", "404"),
        ("PUT /livez", "", "405"),
    ] {
        let mut stream = TcpStream::connect(server.addr).unwrap();
        let head =
            format!("{line} HTTP/1.1\r\nhost: localhost\r\n{headers}content-length: 2\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        stream.write_all(b"{}").unwrap();
        let mut answer = [0; 4096];
        let read = stream.read(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer[..read]);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        let next = "GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        stream.write_all(next.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("HTTP/1.1 200 "), "after {status}: {answer}");
    }
}

#[test]
fn a_body_is_an_object() {
    let server = TestServer::start::<Arena>(|_| {});
    for (path, body) in [
        ("/v1/matches", "[null]"),
        ("/v1/join", r#"["auto",null,null,null,"Ada"]"#),
        ("/v1/chat", r#" ["Ada","hello"]"#),
        ("/v1/notices", r#"[null,"hello"]"#),
        ("/v1/notices", "null"),
    ] {
        let (status, told) = server.post(path, body);
        assert!(status == 400 && told.contains("must be a JSON object"), "{path}: {told}");
    }
    assert_eq!(server.post("/v1/matches", " \n{}").0, 201);
}

#[test]
fn an_expired_ticket_is_reported_as_such() {
    let (server, tickets) = guarded_server("late", |_| {});
    let grant =
        Grant { subject: "u1", role: TicketRole::Player, match_id: None, name: "Ada", data: &[] };
    let say = |life: u64| {
        let token = tickets.issue(&grant, unix_now() + life).unwrap();
        let shown = format!("authorization: Bearer {token}\r\n");
        server.post_with("/v1/chat", &shown, r#"{"text":"hello"}"#)
    };
    assert_eq!(say(60).0, 201);
    let (status, told) = say(0);
    assert!(status == 401 && told.contains("a ticket is needed: the ticket has expired"), "{told}");
    let (status, told) = server.post("/v1/chat", r#"{"text":"hello"}"#);
    assert!(status == 401 && told.contains(r#""a ticket is needed""#), "{told}");
}

#[test]
fn a_backend_passes_on_more_lines_than_an_address_may_say() {
    let (server, tickets) = guarded_server("relay", |_| {});
    let say = |role| {
        let grant = Grant { subject: "u1", role, match_id: None, name: "", data: &[] };
        let token = tickets.issue(&grant, unix_now() + 60).unwrap();
        let shown = format!("authorization: Bearer {token}\r\n");
        server.post_with("/v1/chat", &shown, r#"{"name":"Ada","text":"hello"}"#).0
    };
    assert_eq!(say(TicketRole::Player), 201);
    assert!((0..1_000).any(|_| say(TicketRole::Player) == 429));
    assert!((0..10).all(|_| say(TicketRole::Operator) == 201));
}

/// The whole response, head and body, to a request with these header lines.
fn ask(addr: SocketAddr, line: &str, headers: &str) -> String {
    let head = "host: localhost\r\nconnection: close\r\n";
    exchange(addr, &format!("{line} HTTP/1.1\r\n{head}{headers}\r\n"))
}
