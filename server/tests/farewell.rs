//! When and how a connection is seen off that the server closes.

mod support;

use std::{net::TcpStream, time::Duration};

use socket2::{Domain, Socket, Type};
use support::{Client, End, Stream, TestServer, frame};
use tickwire_shared::arena::Arena;

#[test]
fn who_is_behind_with_reading_is_told_all_the_same_why_it_is_closed() {
    let server = TestServer::start::<Arena>(|config| config.limits.messages_hz = 1_000);
    let mut client = connect_narrowly(&server);
    // More than the kernels take, and less than may wait behind that.
    let pings = frame(0x89, &[7; 125]).repeat(400);
    client.send_raw(&pings);
    client.send_raw(&frame(0x81, b"hello"));
    // What is unread when a socket is closed would take the reason away.
    client.send_raw(&pings);
    server.wait_metric("tickwire_connections_closed_total{reason=\"text\"}", 1.0);
    assert_eq!(client.wait_end(), End::Close(1003));
    server.wait_metric("tickwire_connections", 0.0);
}

#[test]
fn who_goes_on_talking_is_not_taken_for_silent() {
    let server = TestServer::start::<Arena>(|config| {
        config.limits.idle_timeout = Duration::from_secs(2);
    });
    let mut player = server.join();
    // Four seconds of them, each acknowledged.
    player.wait_snapshots(120);
    assert_eq!(player.end, None);
}

/// A connection on which little is under way.
fn connect_narrowly(server: &TestServer) -> Client {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("there are sockets");
    socket.set_recv_buffer_size(4 * 1024).expect("buffers can be small");
    socket.connect(&server.addr.into()).expect("the server is there");
    let offer = "sec-websocket-protocol: tickwire.v1\r\n";
    Client::open_on(Stream::Plain(TcpStream::from(socket)), "match=auto", offer)
}
