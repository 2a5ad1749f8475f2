//! An echo server on the same listener, handshake, socket and decoder that matches use, for the
//! Autobahn test suite, which checks them against RFC 6455.

use std::{process::Command, sync::Arc, thread};

use axum::{
    Extension, Router,
    body::Body,
    extract::Request,
    http::{HeaderMap, Response, header},
    routing::get,
};
use fastwebsockets::{
    Frame, Payload,
    upgrade::{is_upgrade_request, upgrade},
};
use rustix::{
    event::{PollFd, PollFlags, poll},
    time::Timespec,
};
use tickwire_shared::{
    arena::Arena,
    close::CloseReason,
    schema::Schema,
    ws::{Decoder, Message},
};
use tokio::{net::TcpListener, runtime::Builder};

use super::{Peer, play::Stream};
use crate::{
    clock::Clock,
    config::Config,
    directory::Directory,
    feeds::Feeds,
    front_door::FrontDoor,
    intake::Intake,
    listener,
    matchmaker::Modes,
    shards::Shards,
    socket::{ReadResult, Socket, push},
};

/// The longest message of the suite is 16 MiB.
const MESSAGE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// How long a client may take to answer a close frame.
const CLOSE_TIMEOUT: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };

/// Runs the program that `AUTOBAHN_CLIENT` names with the echo's URL; `.ci/conformance` does.
#[test]
#[ignore = "needs the Autobahn test suite: run .ci/conformance"]
fn the_socket_speaks_rfc_6455() {
    let client = std::env::var("AUTOBAHN_CLIENT").expect("AUTOBAHN_CLIENT names a program");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/echo", listener.local_addr().unwrap());
    thread::spawn(move || serve(listener));
    let status = Command::new(client).arg(url).status().unwrap();
    assert!(status.success(), "{status}");
}

fn serve(listener: std::net::TcpListener) {
    listener.set_nonblocking(true).unwrap();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let directory = Arc::new(Directory::new(0, 0));
        let (clock, known) = (Clock::start(), Arc::clone(&directory));
        let (feeds, _) = Feeds::start(Schema::default(), &[], true, known);
        let shards = Shards::new(Vec::new(), clock, &Schema::default());
        let door = FrontDoor::new(
            Config::default(),
            Modes::of::<Arena>(),
            0,
            clock,
            directory,
            shards,
            feeds,
        );
        let routes = Router::new().route("/echo", get(accept));
        let listener = TcpListener::from_std(listener).unwrap();
        listener::serve(listener, routes, Arc::new(door.unwrap())).await;
    });
}

async fn accept(Extension(peer): Extension<Peer>, mut request: Request) -> Response<Body> {
    assert!(is_upgrade_request(&request));
    let place = peer.take_place().expect("a connection has one upgrade");
    let (response, upgraded) = upgrade(&mut request).unwrap();
    assert_declines_extensions(response.headers());
    tokio::spawn(async move {
        let Some((stream, leftover)) = Stream::take_over(upgraded).await else { return };
        let socket = Socket::new(stream.into_upgraded(place).unwrap());
        thread::spawn(move || Echo::new(socket).run(&mut leftover.to_vec()));
    });
    response.map(Body::new)
}

fn assert_declines_extensions(headers: &HeaderMap) {
    assert!(!headers.contains_key(header::SEC_WEBSOCKET_EXTENSIONS));
}

struct Echo {
    socket: Socket,
    decoder: Decoder,
    intake: Intake,
}

/// Which end closed the connection.
enum Ended {
    Client(Option<u16>),
    Server(CloseReason),
}

impl Echo {
    fn new(socket: Socket) -> Self {
        Self { socket, decoder: Decoder::new(MESSAGE_BYTES_MAX), intake: Intake::new() }
    }

    fn run(mut self, leftover: &mut [u8]) {
        let mut ended = self.answer(leftover);
        while ended.is_none() {
            match self.socket.read(&mut self.intake) {
                ReadResult::Bytes { count, .. } => {
                    let mut bytes = self.intake.bytes[..count].to_vec();
                    ended = self.answer(&mut bytes);
                }
                ReadResult::Nothing => self.wait(PollFlags::IN, None),
                ReadResult::End => return,
            }
        }
        match ended {
            Some(Ended::Client(code)) => self.socket.answer_close(code),
            Some(Ended::Server(reason)) => self.socket.close(reason),
            None => {}
        }
        self.wait(PollFlags::IN, Some(&CLOSE_TIMEOUT));
        while matches!(self.socket.read(&mut self.intake), ReadResult::Bytes { .. }) {}
    }

    /// Echoes the messages in the bytes, and waits until all is sent.
    fn answer(&mut self, bytes: &mut [u8]) -> Option<Ended> {
        let mut frames = Vec::new();
        let mut feed = self.decoder.feed(bytes);
        let ended = loop {
            let frame = match feed.next() {
                Ok(None) => break None,
                Ok(Some(Message::Text(text))) => Frame::text(Payload::Borrowed(text.as_bytes())),
                Ok(Some(Message::Binary(bytes))) => Frame::binary(Payload::Borrowed(bytes)),
                Ok(Some(Message::Ping(bytes))) => Frame::pong(Payload::Borrowed(bytes)),
                Ok(Some(Message::Pong(_))) => continue,
                Ok(Some(Message::Close(code))) => break Some(Ended::Client(code)),
                Err(error) => break Some(Ended::Server(error.into())),
            };
            push(frame, &mut frames);
        };
        // Errors are left to the next read: the client may be gone.
        let mut sent = self.socket.send(&frames);
        while sent.is_ok() && !self.socket.is_flushed() {
            self.wait(PollFlags::OUT, None);
            sent = self.socket.flush();
        }
        ended
    }

    fn wait(&self, flags: PollFlags, timeout: Option<&Timespec>) {
        poll(&mut [PollFd::new(self.socket.stream(), flags)], timeout).unwrap();
    }
}
