//! Swarms against a minimal server: a thread for each connection, a match for each bot.

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

use super::{Options, RunError, run};
use crate::{Profile, Report, Scenario, brain};

#[test]
fn an_honest_server_passes() {
    // Pings are due every half second: the window begins shortly before one.
    let (warm_up, duration) = (Duration::from_millis(400), Duration::from_secs(2));
    let options = Options { warm_up, duration, ..options(start(Server::Honest)) };
    let report = run(&options, brain::for_game).unwrap();
    assert_eq!(report.failure, None);
    assert_eq!((report.bots_joined, report.bots_lost, report.tick_rate_hz), (BOTS, 0, Some(HZ)));
    // More if the machine was late. While it stood still, there were none.
    let (received, expected) = (report.snapshots_received, report.snapshots_expected);
    assert!(expected >= 200 * BOTS as u64, "{expected} snapshots expected");
    assert!((1..expected + expected / 5).contains(&received), "{received} of {expected} snapshots");
    assert!(report.digests_checked > 0);
    assert!(report.input_to_snapshot_us.is_some() && report.rtt_us.is_some());
    assert_eq!(report.entities_mean, Some(1.0));
}

#[test]
fn a_wrong_digest_fails_the_run() {
    let report = play(Server::Lies).unwrap();
    assert!(report.digest_mismatches > 0);
    assert!(report.resyncs > 0);
    assert!(report.failure.is_some_and(|why| why.contains("digests did not match")));
}

#[test]
fn lost_bots_fail_the_run() {
    let report = play(Server::Hangs { up_after: Tick(5) }).unwrap();
    assert_eq!((report.bots_joined, report.bots_lost), (BOTS, BOTS));
    assert!(report.failure.is_some_and(|why| why.contains("closed by the server with code 4016")));
}

#[test]
fn garbage_is_a_decode_error() {
    let report = play(Server::Babbles { after: Tick(5) }).unwrap();
    assert_eq!((report.decode_errors, report.bots_lost), (BOTS as u64, BOTS));
    assert!(report.failure.is_some_and(|why| why.contains("could not be decoded")));
}

#[test]
fn a_refusal_differs_from_a_missing_server() {
    let refused = play(Server::Answers(UNAVAILABLE)).unwrap_err();
    assert!(refused.to_string().contains("503"), "{refused}");
    // Not a port that another test may be given.
    let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
    let missing = run(&options(nobody), brain::for_game).unwrap_err();
    assert!(matches!(missing, RunError::NoServer { .. }), "{missing}");
}

#[test]
fn a_missing_ticket_has_its_reason() {
    let refusal = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 46\r\n\r\n\
                    {\"error\":{\"message\":\"the ticket has expired\"}}";
    let token = Some("old".into());
    let options = Options { operator_token: token, ..options(start(Server::Answers(refusal))) };
    let refused = run(&options, brain::for_game).unwrap_err();
    assert!(refused.to_string().ends_with("no ticket: the ticket has expired"), "{refused}");
}

#[test]
fn a_server_that_requires_tickets_needs_an_operators_token() {
    // Code 4020, after the handshake.
    let closed = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\
                   connection: upgrade\r\nsec-websocket-protocol: tickwire.v1\r\n\r\n\x88\x02\x0f\xb4";
    let refused = play(Server::Answers(closed)).unwrap_err();
    assert!(refused.to_string().contains("--operator-token-file"), "{refused}");
}

#[test]
fn mixing_up_ws_and_wss_is_reported() {
    // A TLS server's answer to an HTTP request: the alert `unexpected_message`.
    let error = play(Server::Answers(&[21, 3, 3, 0, 2, 2, 10])).unwrap_err();
    assert!(error.to_string().contains("wss://"), "{error}");
    let plain = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
    for answer in [&plain[..], b""] {
        let plain = start(Server::Answers(answer));
        let error = fail_at_wss(plain, &"0a".repeat(32));
        assert!(error.contains(" ws://"), "{error}");
    }
}

#[test]
fn another_certificate_is_rejected() {
    let (address, fingerprint) = start_tls();
    let refused = "the server's certificate is not that of --tls-sha256";
    let error = fail_at_wss(address, &"0a".repeat(32));
    assert!(error.contains(refused), "{error}");
    // With the right fingerprint the error is another one: this server does not answer in HTTP.
    let error = fail_at_wss(address, &fingerprint);
    assert!(!error.contains(refused), "{error}");
}

#[test]
fn bots_that_are_cut_off_resume() {
    let address = start(Server::Honest);
    let duration = Duration::from_secs(2);
    let scenario = Scenario::Reconnect;
    let options = Options { scenario, duration, ..options(address) };
    let report = run(&options, brain::for_game).unwrap();
    assert_eq!(report.failure, None);
    assert_eq!((report.bots_lost, report.resumed), (0, Some(BOTS)));
}

#[test]
fn a_window_that_is_over_before_the_cut_is_no_panic() {
    let address = start(Server::Honest);
    let (scenario, duration) = (Scenario::Reconnect, Duration::from_nanos(1));
    run(&Options { scenario, duration, ..options(address) }, brain::for_game).unwrap();
}

#[test]
fn bots_that_lose_their_connection_come_back_by_themselves() {
    check_return(Server::Drops { after: Tick(10) });
}

#[test]
fn bots_whose_session_is_gone_join_anew() {
    check_return(Server::Forgets { after: Tick(10) });
}

#[test]
fn a_bot_comes_back_to_a_server_that_has_restarted_however_long_it_waited() {
    let address = start(Server::Restarts { after: Tick(10), refused: 5 });
    let options = Options { bots: 1, duration: Duration::from_secs(3), ..options(address) };
    let report = run(&options, brain::for_game).unwrap();
    assert_eq!(report.failure, None);
    assert!(report.resumed >= Some(1), "it came back");
}

/// All bots come back to a server like this.
#[track_caller]
fn check_return(server: Server) {
    let duration = Duration::from_secs(1);
    let report = run(&Options { duration, ..options(start(server)) }, brain::for_game).unwrap();
    assert_eq!(report.failure, None);
    assert!(report.resumed >= Some(BOTS), "{:?} came back", report.resumed);
}

#[test]
fn bots_that_are_away_when_the_run_ends_are_lost() {
    let after = Duration::from_millis(900);
    let address = start(Server::Goes { after });
    let duration = Duration::from_secs(2);
    let report = run(&Options { duration, ..options(address) }, brain::for_game).unwrap();
    assert_eq!((report.bots_joined, report.bots_lost), (BOTS, BOTS));
    assert!(report.failure.is_some_and(|why| why.starts_with("3 bots were lost")));
    assert!(report.snapshots_received * 4 < report.snapshots_expected * 3, "not excused");
}

#[test]
fn bots_play_over_a_bad_network() {
    let address = start(Server::Honest);
    let net = Some(Profile { delay: Micros::from_millis(40), ..Profile::WIFI });
    let duration = Duration::from_secs(1);
    let report = run(&Options { net, duration, ..options(address) }, brain::for_game).unwrap();
    assert_eq!(report.failure, None);
    let rtt = report.rtt_us.unwrap();
    assert!(rtt.p50 >= 72_000, "there and back in {} us", rtt.p50);
}

#[test]
fn churn_loses_no_bot() {
    let (scenario, duration) = (Scenario::Churn, Duration::from_secs(3));
    let address = start(Server::Honest);
    let report = run(&Options { scenario, duration, ..options(address) }, brain::for_game).unwrap();
    assert_eq!((report.failure, report.bots_lost), (None, 0));
    assert!(report.resumed >= Some(4 * BOTS), "{:?} came again", report.resumed);
}

const BOTS: usize = 3;
const HZ: u16 = 100;
const UNAVAILABLE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";

/// How the server behaves.
#[derive(Clone, Copy, Debug)]
enum Server {
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

#[track_caller]
fn play(server: Server) -> Result<Report, RunError> {
    run(&options(start(server)), brain::for_game)
}

fn start(server: Server) -> SocketAddr {
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

fn options(address: SocketAddr) -> Options {
    Options {
        target: format!("ws://{address}").parse().unwrap(),
        bots: BOTS,
        duration: Duration::from_millis(500),
        warm_up: Duration::from_millis(100),
        ramp: Duration::from_millis(30),
        ..Options::default()
    }
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

/// The error of bots that expect a server with this certificate at this address.
fn fail_at_wss(address: SocketAddr, certificate: &str) -> String {
    let options = Options {
        target: format!("wss://{address}").parse().unwrap(),
        certificate: Some(certificate.parse().unwrap()),
        ..options(address)
    };
    run(&options, brain::for_game).unwrap_err().to_string()
}

/// A server that closes after the TLS handshake. Returns its address and its certificate's SHA-256.
fn start_tls() -> (SocketAddr, String) {
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
