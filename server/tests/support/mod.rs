//! A server in this process, and clients that send exactly the bytes that a test wants.
#![allow(dead_code, missing_docs, clippy::unwrap_used, reason = "each test file uses its part")]

pub(crate) mod hooked;
pub(crate) mod tls;

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rustls::{ClientConnection, StreamOwned};

use tickwire_server::{Server, config::Config, limits::Limits, tickets::Tickets};
pub(crate) use tickwire_shared::testing::frames::frame;
use tickwire_shared::{
    arena::Arena,
    game::{Game, Input},
    ids::Tick,
    link::{
        ClientEvent, ClientLink, Digest,
        frames::{Before, MESSAGE, SnapshotHead},
        pacing::decode_lead,
    },
    social::{Line, Social, Speaker},
    testing::frames,
    time::Micros,
    wire::{ClientMessage, ResumeToken, write_client},
};
use tokio::sync::oneshot;

/// Long enough for anything that should happen, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Longer than any test: what is not tested does not depend on how busy the machine is.
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);

pub(crate) struct TestServer {
    pub(crate) addr: SocketAddr,
    pub(crate) health: Option<SocketAddr>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl TestServer {
    /// A server on a free port, that gives nobody up in the time of a test, with this change.
    pub(crate) fn start<G: Game>(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config {
            listen: ([127, 0, 0, 1], 0).into(),
            shards: 1,
            npcs: 0,
            drain_timeout: Duration::ZERO,
            resume_grace: HOUR,
            match_idle: HOUR,
            limits: Limits {
                head_timeout: HOUR,
                hello_timeout: HOUR,
                idle_timeout: HOUR,
                stall_timeout: HOUR,
                ..Limits::default()
            },
            ..Config::default()
        };
        change(&mut config);
        let (ready, addrs) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let server = Server::bind::<G>(config).await.unwrap();
                ready.send((server.addr(), server.health_addr())).unwrap();
                server.run(async { drop(stopped.await) }, std::future::pending()).await;
            });
        });
        let (addr, health) = addrs.recv().unwrap();
        Self { addr, health, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn connect(&self) -> Client {
        Client::open(self.addr, "match=auto", "tickwire.v1")
    }

    /// A client that was welcomed.
    pub(crate) fn join(&self) -> Client {
        let mut client = self.connect();
        client.say_hello(None);
        client.wait_welcome();
        client
    }

    /// A new connection that resumes the session of a link, with its state kept.
    pub(crate) fn take_up(&self, mut link: ClientLink) -> Client {
        let mut client = Client::open(self.addr, "match=1&resume=1", "tickwire.v1");
        let mut hello = Vec::new();
        link.write_hello("", None, &mut hello);
        client.link = link;
        client.send(&hello);
        client
    }

    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        request(
            self.addr,
            &format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"),
        )
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> (u16, String) {
        self.post_with(path, "", body)
    }

    /// With more header lines.
    pub(crate) fn post_with(&self, path: &str, headers: &str, body: &str) -> (u16, String) {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        request(self.addr, &(head + body))
    }

    /// The value of one line of `/metrics`, which must be there.
    #[track_caller]
    pub(crate) fn metric(&self, line: &str) -> f64 {
        let (_, page) = self.get("/metrics");
        let value = page.lines().find_map(|l| l.strip_prefix(line)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no {line} in {page}")).parse().unwrap()
    }

    /// Waits until one line of `/metrics` has a value.
    #[track_caller]
    pub(crate) fn wait_metric(&self, line: &str, value: f64) {
        let start = Instant::now();
        while self.metric(line) != value {
            assert!(start.elapsed() < PATIENCE, "{line} is {}", self.metric(line));
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Has the server drain, and waits for its end.
    pub(crate) fn drain(mut self) {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap();
    }

    pub(crate) fn begin_drain(&mut self) {
        drop(self.stop.take());
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The input of a game that ignores inputs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Nothing;

impl Input for Nothing {
    fn from_values(_: &[i32]) -> Self {
        Self
    }

    fn write_values(&self, _: &mut [i32]) {}
}

/// How a connection ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum End {
    Close(u16),
    Lost,
}

/// The stream below a client.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    pub(crate) fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(session) => &session.sock,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(session) => session.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(session) => session.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(session) => session.flush(),
        }
    }
}

pub(crate) struct Client {
    pub(crate) stream: Stream,
    pub(crate) link: ClientLink,
    pub(crate) status: u16,
    pub(crate) snapshots: u32,
    /// The lead of its inputs in microseconds, and the snapshot that reported it.
    pub(crate) lead: Option<(Tick, i64)>,
    pub(crate) digests: u32,
    pub(crate) events: u32,
    /// The tick of the newest event.
    pub(crate) newest_event: Option<Tick>,
    /// Factor by which the tick interval is stretched.
    pub(crate) slowdown: u8,
    /// How many paces were received.
    pub(crate) paces: u32,
    pub(crate) social: Vec<Social>,
    pub(crate) end: Option<End>,
    /// The server has announced that it drains.
    pub(crate) was_told: bool,
    start: Instant,
    read: Vec<u8>,
}

impl Client {
    /// A WebSocket, or a refusal whose status is kept.
    pub(crate) fn open(addr: SocketAddr, query: &str, subprotocol: &str) -> Self {
        let offer = match subprotocol {
            "" => String::new(),
            offer => format!("sec-websocket-protocol: {offer}\r\n"),
        };
        Self::open_on(Stream::Plain(TcpStream::connect(addr).unwrap()), query, &offer)
    }

    /// The same on any stream, with whole header lines.
    pub(crate) fn open_on(mut stream: Stream, query: &str, offer: &str) -> Self {
        stream.tcp().set_nodelay(true).unwrap();
        let head = format!(
            "GET /v1/play?{query} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{offer}\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let (mut read, mut byte) = (Vec::new(), [0]);
        while !read.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() > 0 {
            read.push(byte[0]);
        }
        let status = String::from_utf8_lossy(&read)[9..12].parse().unwrap();
        Self {
            stream,
            link: ClientLink::default(),
            status,
            snapshots: 0,
            lead: None,
            digests: 0,
            events: 0,
            newest_event: None,
            slowdown: 1,
            paces: 0,
            social: Vec::new(),
            end: None,
            was_told: false,
            start: Instant::now(),
            read: Vec::new(),
        }
    }

    pub(crate) fn send(&mut self, payload: &[u8]) {
        self.send_raw(&frame(0x82, payload));
    }

    pub(crate) fn send_raw(&mut self, bytes: &[u8]) {
        // If the server has closed already, the next read notices.
        let _ = self.stream.write_all(bytes);
    }

    pub(crate) fn say_hello(&mut self, resume: Option<ResumeToken>) {
        self.introduce("", resume);
    }

    pub(crate) fn introduce(&mut self, name: &str, resume: Option<ResumeToken>) {
        let mut hello = Vec::new();
        self.link.write_hello(name, resume, &mut hello);
        self.send(&hello);
    }

    /// Sends a chat line, even one that a link would not send.
    pub(crate) fn chat(&mut self, text: &str) {
        let mut payload = vec![MESSAGE];
        write_client(&ClientMessage::Chat(text.to_owned()), &mut payload);
        self.send(&payload);
    }

    /// Sends the chat lines that the link has queued.
    pub(crate) fn send_chat(&mut self) {
        let mut payload = Vec::new();
        while self.link.poll_chat(&mut payload) {
            self.send(&payload);
            payload.clear();
        }
    }

    /// Chat lines that it has received, each as `name: text`.
    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |social: &Social| match social {
            Social::Line(Line { speaker: Speaker::Operator, text, .. }) => {
                Some(format!("! {text}"))
            }
            Social::Line(Line { speaker: Speaker::Player { name, .. }, text, .. }) => {
                Some(format!("{name}: {text}"))
            }
            Social::Roster(_) | Social::Presence(_) | Social::ChatRefused(_) => None,
        };
        self.social.iter().filter_map(line).collect()
    }

    #[track_caller]
    pub(crate) fn wait_welcome(&mut self) {
        self.wait("a welcome", |client| client.link.welcome().is_some());
    }

    #[track_caller]
    pub(crate) fn wait_snapshots(&mut self, count: u32) {
        let until = self.snapshots + count;
        self.wait("snapshots", |client| client.snapshots >= until);
    }

    #[track_caller]
    pub(crate) fn wait_end(&mut self) -> End {
        let start = Instant::now();
        while self.end.is_none() {
            assert!(start.elapsed() < PATIENCE, "the connection stays open");
            self.take_in();
        }
        self.end.clone().unwrap()
    }

    /// Reads until a condition holds.
    #[track_caller]
    pub(crate) fn wait(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !is_so(self) {
            assert_eq!(self.end, None, "the connection ended before {what}");
            assert!(start.elapsed() < PATIENCE, "no {what}");
            self.pump();
        }
    }

    /// An input of all minimum values, for as soon as possible.
    pub(crate) fn input(&mut self, values: &[i32]) {
        let mut payload = Vec::new();
        let tick = self.link.applied().unwrap_or(Tick(0));
        self.link.write_input(tick, values, &mut payload).expect("a snapshot was applied");
        self.send(&payload);
    }

    /// Handles received frames, and acknowledges snapshots.
    pub(crate) fn pump(&mut self) {
        let before = self.snapshots;
        self.take_in();
        if self.snapshots > before {
            let mut ack = Vec::new();
            self.link.write_ack(&mut ack);
            self.send(&ack);
        }
    }

    /// Handles received frames, waiting up to 50 ms for the first byte.
    pub(crate) fn take_in(&mut self) {
        self.stream.tcp().set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => self.end = self.end.take().or(Some(End::Lost)),
            Ok(count) => self.read.extend_from_slice(&buffer[..count]),
            // It is interrupted when this process was stopped and goes on.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) => {}
            Err(_) => self.end = self.end.take().or(Some(End::Lost)),
        }
        while let Some((first, payload)) = frames::take(&mut self.read) {
            match first {
                0x82 => self.handle(&payload),
                0x88 => {
                    let code = u16::from_be_bytes([payload[0], payload[1]]);
                    self.end = Some(End::Close(code));
                }
                _ => {}
            }
        }
    }

    fn handle(&mut self, payload: &[u8]) {
        let now = Micros::from(self.start.elapsed());
        let before = Before { tick: self.link.applied(), processed: self.link.processed() };
        if let Some((SnapshotHead { tick, lead: Some(lead), .. }, _)) =
            SnapshotHead::read(payload, before)
        {
            self.lead = Some((tick, decode_lead(lead)));
        }
        match self.link.handle_frame(payload, now).unwrap() {
            ClientEvent::Snapshot { digest, .. } => {
                self.snapshots += 1;
                assert_ne!(digest, Digest::Differs);
                self.digests += u32::from(digest == Digest::Agrees);
            }
            ClientEvent::Event { tick, .. } => {
                self.events += 1;
                self.newest_event = Some(tick);
            }
            ClientEvent::Pace { slowdown } => {
                self.slowdown = slowdown;
                self.paces += 1;
            }
            ClientEvent::Leaving { .. } => self.was_told = true,
            ClientEvent::Welcome(_) | ClientEvent::Pong { .. } | ClientEvent::Model => {}
            ClientEvent::Social(social) => self.social.push(social),
        }
    }
}

/// A server that requires tickets, and their issuer.
pub(crate) fn guarded_server(
    name: &str,
    change: impl FnOnce(&mut Config),
) -> (TestServer, Tickets) {
    let path = scratch(&format!("{name}.secret"));
    std::fs::write(&path, SECRET).unwrap();
    let server = TestServer::start::<Arena>(|config| {
        config.tickets.secret_file = Some(path);
        change(config);
    });
    (server, Tickets::with_secret(SECRET).unwrap())
}

const SECRET: &[u8] = b"a secret of 32 bytes and of more";

/// A file for one test.
pub(crate) fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// A connection from 127.0.0.`host`.
pub(crate) fn connect_from(host: u8, to: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let from = SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), 0));
    socket.bind(&from.into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.into()
}

/// Asks again and again, until there is an answer.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut answer: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = answer() {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "waited for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Reads once, as `Read::read` does, also when this process is stopped and goes on.
#[track_caller]
pub(crate) fn read(stream: &mut TcpStream, buffer: &mut [u8]) -> usize {
    loop {
        match stream.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read.expect("bytes, or the end"),
        }
    }
}

/// The whole response, head and body, to a request that closes the connection.
pub(crate) fn exchange(addr: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The response's status and body.
pub(crate) fn request(addr: SocketAddr, request: &str) -> (u16, String) {
    let answer = exchange(addr, request);
    let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
    (head[9..12].parse().unwrap(), body.to_owned())
}
