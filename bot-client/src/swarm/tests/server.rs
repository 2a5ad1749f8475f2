//! A minimal server: a thread for each connection, a match for each bot.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use aws_lc_rs::digest;
use rustls::{ServerConfig, ServerConnection, crypto::aws_lc_rs::default_provider};
use tickwire_shared::{
    codec::Encoder,
    ids::{EntityId, Tick},
    link::{Received, ServerLink, Snapshot, server::write_message},
    rows::Rows,
    schema::{Field, Schema},
    testing,
    time::{Micros, TickRate},
    wire::{Pong, SUBPROTOCOL, ServerMessage},
    ws::{Decoder, Message},
};

use super::BOTS;

/// Its route for WebSockets, behind a proxy.
pub(super) const PLAY: &str = "/eu/v1/play";
pub(super) const HZ: u16 = 100;
pub(super) const UNAVAILABLE: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";

/// How the server behaves.
#[derive(Clone, Copy, Debug)]
pub(super) enum Server {
    Honest,
    /// All its digests are wrong.
    Lies,
    /// It closes each connection at this tick.
    Hangs {
        up_after: Tick,
    },
    /// It sends a meaningless frame at this tick.
    Babbles {
        after: Tick,
    },
    /// It loses each bot's first connection at this tick.
    Drops {
        after: Tick,
    },
    /// The same, and it resumes no session.
    Forgets {
        after: Tick,
    },
    /// It loses the first connection at this tick, refuses so many, and resumes no session.
    Restarts {
        after: Tick,
        refused: usize,
    },
    /// It loses all connections after this time, and accepts no others.
    Goes {
        after: Duration,
    },
    /// It sends these bytes in answer to anything, and nothing else.
    Answers(&'static [u8]),
}

pub(super) fn start(server: Server) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let begun = Instant::now();
    thread::spawn(move || {
        for (number, socket) in listener.incoming().enumerate() {
            // A bot that leaves, or is made to, ends its connection's thread.
            thread::spawn(move || serve(socket?, number, server, begun));
        }
    });
    address
}

/// Serves the connection of that number. The match began at `begun`, and goes on from one connection to the next.
fn serve(mut socket: TcpStream, number: usize, server: Server, begun: Instant) -> io::Result<()> {
    let answer: Option<&[u8]> = match server {
        Server::Answers(answer) => Some(answer),
        Server::Goes { after } => (begun.elapsed() >= after).then_some(UNAVAILABLE),
        Server::Restarts { refused, .. } => (1..=refused).contains(&number).then_some(UNAVAILABLE),
        Server::Honest
        | Server::Lies
        | Server::Hangs { .. }
        | Server::Babbles { .. }
        | Server::Drops { .. }
        | Server::Forgets { .. } => None,
    };
    if let Some(answer) = answer {
        let _ = socket.read(&mut [0; 4096])?;
        return socket.write_all(answer);
    }
    upgrade(&mut socket)?;
    socket.set_nonblocking(true)?;
    let mut connection = Connection::new(socket);
    let newest = || (begun.elapsed() * u32::from(HZ)).as_secs() as u32;
    let mut match_tick = Tick(newest());
    // Ticks since the welcome.
    let mut tick = 0;
    loop {
        let due = begun + Duration::from_secs(match_tick.plus(1).0.into()) / u32::from(HZ);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        // Those of a time when it stood still are left out.
        match_tick = Tick(newest());
        connection.read(match_tick, begun, server)?;
        tick += u32::from(connection.link.is_welcomed());
        match server {
            Server::Hangs { up_after: Tick(last) } if tick == last => {
                return connection.write(CLOSE, &4016_u16.to_be_bytes());
            }
            Server::Drops { after: Tick(last) } | Server::Forgets { after: Tick(last) }
                if number < BOTS && tick == last =>
            {
                return Ok(());
            }
            Server::Restarts { after: Tick(last), .. } if number == 0 && tick == last => {
                return Ok(());
            }
            Server::Goes { after } if begun.elapsed() >= after => return Ok(()),
            Server::Babbles { after: Tick(last) } if tick == last => {
                connection.write(BINARY, &[0x55; 9])?;
            }
            Server::Honest
            | Server::Lies
            | Server::Hangs { .. }
            | Server::Babbles { .. }
            | Server::Drops { .. }
            | Server::Forgets { .. }
            | Server::Restarts { .. }
            | Server::Goes { .. }
            | Server::Answers(_) => connection.write_snapshot(match_tick, begun, server)?,
        }
    }
}

fn upgrade(socket: &mut TcpStream) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte)?;
        head.extend(byte);
    }
    if !head.starts_with(format!("GET {PLAY}?").as_bytes()) {
        return socket.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
    }
    write!(
        socket,
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
         sec-websocket-protocol: {SUBPROTOCOL}\r\n\r\n"
    )
}

const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;

struct Connection {
    socket: TcpStream,
    decoder: Decoder,
    link: ServerLink,
    encoder: Encoder,
    sent: Vec<(Tick, Rows)>,
}

impl Connection {
    fn new(socket: TcpStream) -> Self {
        Self {
            socket,
            decoder: Decoder::new(1024),
            link: ServerLink::new(Micros(0)),
            encoder: Encoder::new(&schema(), rate()),
            sent: Vec::new(),
        }
    }

    /// Handles received bytes, and answers them.
    fn read(&mut self, tick: Tick, start: Instant, server: Server) -> io::Result<()> {
        let mut bytes = [0; 4096];
        let count = match self.socket.read(&mut bytes) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut answers = Vec::new();
        let mut feed = self.decoder.feed(&mut bytes[..count]);
        while let Some(message) = feed.next().unwrap() {
            if let Message::Close(_) = message {
                return self.write(CLOSE, &1000_u16.to_be_bytes());
            }
            let Message::Binary(frame) = message else { continue };
            let mut values = [0; 2];
            let now = Micros::from(start.elapsed());
            let mut answer = Vec::new();
            match self.link.handle_frame(frame, &schema().input, &mut values, now).unwrap() {
                Received::Hello(hello) => {
                    let mut welcome = testing::welcome(schema(), rate());
                    if hello.resume.is_some() {
                        if matches!(server, Server::Forgets { .. } | Server::Restarts { .. }) {
                            return self.write(CLOSE, &4012_u16.to_be_bytes());
                        }
                        (welcome.schema, welcome.model) = (None, None);
                    }
                    self.link.welcome(&welcome);
                    write_message(&ServerMessage::Welcome(Box::new(welcome)), &mut answer);
                }
                Received::Ping { client_time } => {
                    let tick_time = Micros(rate().nanos_to(tick.0.into()) / 1_000);
                    let pong =
                        Pong { client_time, server_time: now, held: Micros(0), tick, tick_time };
                    write_message(&ServerMessage::Pong(pong), &mut answer);
                }
                Received::Input { .. } | Received::Ack | Received::Resync | Received::Chat(_) => {
                    continue;
                }
            }
            answers.push(answer);
        }
        answers.iter().try_for_each(|answer| self.write(BINARY, answer))
    }

    fn write_snapshot(&mut self, tick: Tick, start: Instant, server: Server) -> io::Result<()> {
        let now = Micros::from(start.elapsed());
        if !self.link.has_credit(tick, now) {
            return Ok(());
        }
        let mut rows = Rows::default();
        rows.push(EntityId(1), 0, &[(tick.0 % 100).cast_signed()]);
        let rows_of = |tick| &self.sent.iter().rev().find(|sent| sent.0 == tick).unwrap().1;
        let mut body = Vec::new();
        let basis = self.link.basis(tick);
        self.encoder.encode(&basis.with_rows(rows_of), tick, &rows, &mut body);
        let lie = u32::from(matches!(server, Server::Lies));
        let digest = tick.0.is_multiple_of(2).then_some(rows.digest() ^ lie);
        let processed = self.link.seq();
        let mut frame = Vec::new();
        let snapshot = Snapshot { tick, digest, processed, owner: &[], body: &body };
        self.link.write_snapshot(&snapshot, now, &mut frame);
        self.sent.push((tick, rows));
        self.write(BINARY, &frame)
    }

    fn write(&mut self, opcode: u8, payload: &[u8]) -> io::Result<()> {
        let length = u16::try_from(payload.len()).unwrap();
        let mut frame = match u8::try_from(length) {
            Ok(short @ 0..=125) => vec![opcode, short],
            _ => [&[opcode, 126][..], &length.to_be_bytes()].concat(),
        };
        frame.extend(payload);
        self.socket.write_all(&frame)
    }
}

/// A server that closes after the TLS handshake. Returns its address and its certificate's SHA-256.
pub(super) fn start_tls() -> (SocketAddr, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let der = made.cert.der().clone();
    let hash = digest::digest(&digest::SHA256, &der);
    let fingerprint = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let key = made.signing_key.serialize_der().try_into().unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![der], key);
    let config = Arc::new(config.unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let mut tls = ServerConnection::new(Arc::clone(&config)).unwrap();
            // A client that rejects the certificate sends an alert and closes.
            let _ = tls.complete_io(&mut socket.unwrap());
        }
    });
    (address, fingerprint)
}

fn rate() -> TickRate {
    TickRate::new(HZ).unwrap()
}

fn schema() -> Schema {
    Schema::new("stub")
        .kind("thing", [Field::new("x", 1.0, 0, 100)])
        .input("a", -5, 5)
        .input("b", 0, 1)
}
