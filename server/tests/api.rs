//! What those rely on who ask by HTTP: a studio's backend, its pages, its dashboards.
#![expect(clippy::unwrap_used, reason = "these are tests, helpers included")]

mod support;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use support::{TestServer, scratch};
use tickwire_server::config::Config;
use tickwire_shared::arena::Arena;

const SECRET: &[u8] = b"a secret of 32 bytes and of more";

#[test]
fn who_is_refused_is_told_what_would_help() {
    let server = guarded_server("remedy", |_| {});
    let told = ask(server.addr, "GET /v1/overruns", "");
    assert!(told.starts_with("HTTP/1.1 401 "), "{told}");
    assert!(told.contains("\r\nwww-authenticate: Bearer\r\n"), "{told}");
    let told = ask(server.addr, "GET /v1/play", "");
    assert!(told.starts_with("HTTP/1.1 426 "), "{told}");
    assert!(told.contains("\r\nupgrade: websocket\r\n"), "{told}");
}

/// A server that wants tickets.
fn guarded_server(name: &str, change: impl FnOnce(&mut Config)) -> TestServer {
    let path = scratch(&format!("{name}.secret"));
    std::fs::write(&path, SECRET).unwrap();
    TestServer::start::<Arena>(|config| {
        config.tickets.secret_file = Some(path);
        change(config);
    })
}

/// A whole answer, head and body.
fn ask(addr: SocketAddr, line: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(addr).unwrap();
    let head = format!("{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
