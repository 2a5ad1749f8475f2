//! When and how the server closes a connection.

mod support;

use std::{net::TcpStream, time::Duration};

use socket2::{Domain, Socket, Type};
use support::{Client, End, Stream, TestServer, frame};
use tickwire_shared::arena::Arena;

#[test]
fn a_slow_reader_still_gets_its_close_reason() {
    let server = TestServer::start::<Arena>(|config| config.limits.messages_hz = 1_000);
    let mut client = connect_narrowly(&server);
    // More than the kernel's buffers hold, and less than the outbox may hold behind them.
    let pings = frame(0x89, &[7; 125]).repeat(400);
    client.send_raw(&pings);
    client.send_raw(&frame(0x81, b"hello"));
    // A socket closed with unread bytes would be reset, and lose the close frame.
    client.send_raw(&pings);
    server.wait_metric("tickwire_connections_closed_total{reason=\"text\"}", 1.0);
    assert_eq!(client.wait_end(), End::Close(1003));
    server.wait_metric("tickwire_connections", 0.0);
}

#[test]
fn a_client_that_keeps_sending_is_not_idle() {
    let server = TestServer::start::<Arena>(|config| {
        config.limits.idle_timeout = Duration::from_secs(2);
    });
    let mut player = server.join();
    // Four seconds of them, each acknowledged.
    player.wait_snapshots(120);
    assert_eq!(player.end, None);
}

/// A connection with a small receive buffer.
fn connect_narrowly(server: &TestServer) -> Client {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("there are sockets");
    socket.set_recv_buffer_size(4 * 1024).expect("buffers can be small");
    socket.connect(&server.addr.into()).expect("the server is there");
    let offer = "sec-websocket-protocol: tickwire.v1\r\n";
    Client::open_on(Stream::Plain(TcpStream::from(socket)), "match=auto", offer)
}
