//! A player's client with a game loop, as a desktop game has it. It plays the arena: it predicts its
//! own player, interpolates the others, and comes back after a lost connection or a restart of the
//! server. Type a line of chat, or `/leave`.
//! `cargo run -p tickwire-bot-client --example play -- 127.0.0.1:8080 Ada`

#![expect(clippy::print_stdout, reason = "it draws in text")]

use std::{
    convert::Infallible,
    env,
    error::Error,
    future::ready,
    io, mem, process,
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use fastwebsockets::{Frame, OpCode, handshake};
use http_body_util::Empty;
use hyper::{Request, body::Bytes, header};
use hyper_util::rt::TokioExecutor;
use tickwire_shared::{
    arena::{Arena, ArenaInput, predict::Walk, rows::player_id},
    close::Back,
    dice::Dice,
    game::{Game, Input},
    link::{ClientEvent, ClientLink, Digest},
    replica::{Interpolation, Prediction},
    social::Social,
    time::Micros,
    wire::{SERVER_FRAME_BYTES_MAX, SUBPROTOCOL},
};
use tokio::{io::split, net::TcpStream, runtime, sync::mpsc as channel, time};

const FRAME: Duration = Duration::from_micros(16_667);
/// A connection on which nothing arrives for this long is dead.
const SILENCE_MAX: Micros = Micros::from_secs(6);
/// How long it tries to come back: longer than a server keeps the seat.
const AWAY_MAX: Micros = Micros::from_secs(60);
const WAIT_MS: u64 = 250;
const WAIT_MS_MAX: u64 = 5_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let address = args.next().unwrap_or_else(|| String::from("127.0.0.1:8080"));
    let mut client = Client::new(address, args.next().unwrap_or_default());
    let (typed, lines) = mpsc::channel();
    thread::spawn(move || io::stdin().lines().map_while(Result::ok).all(|l| typed.send(l).is_ok()));
    let (mut frame_due, mut printed_at) = (Instant::now(), Micros(0));
    loop {
        client.receive()?;
        match lines.try_recv().as_deref() {
            Ok("/leave") => break,
            Ok(line) => client.chat(line),
            Err(_) => {}
        }
        // A game reads the keyboard here; this one runs in circles.
        let angle = client.begun.elapsed().as_secs_f32();
        let [x, y] = [angle.cos(), angle.sin()].map(|axis| (axis * 127.0) as i32);
        let keys = ArenaInput::from_values(&[x, y, 0, 0]);
        client.play(&keys);
        let picture = client.draw(&keys);
        if client.now().since(printed_at) >= Micros::from_secs(1) {
            printed_at = client.now();
            println!("{}", picture.unwrap_or_default());
        }
        frame_due = (frame_due + FRAME).max(Instant::now());
        thread::sleep(frame_due - Instant::now());
    }
    client.leave();
    Ok(())
}

struct Client {
    address: String,
    name: String,
    /// All times are counted from here, on a clock that never goes back.
    begun: Instant,
    dice: Dice,
    socket: Socket,
    link: ClientLink,
    others: Interpolation,
    own: Option<Prediction<Walk>>,
    /// When anything was last received, or the connection was begun.
    heard_at: Micros,
    /// When the connection was lost, if no snapshot has come since.
    lost_at: Option<Micros>,
    wait_ms: u64,
    /// The id of the newest line of chat, and when it was sent.
    newest_line: (u32, u64),
}

impl Client {
    fn new(address: String, name: String) -> Self {
        let begun = Instant::now();
        let mut link = ClientLink::default();
        let socket = connect(&address, &name, &mut link, begun, Duration::ZERO);
        Self {
            address,
            name,
            begun,
            dice: Dice::new(process::id().into()),
            socket,
            link,
            others: Interpolation::default(),
            own: None,
            heard_at: Micros(0),
            lost_at: None,
            wait_ms: WAIT_MS,
            newest_line: (0, 0),
        }
    }

    fn now(&self) -> Micros {
        self.begun.elapsed().into()
    }

    /// Handles what has arrived. An error is for the user.
    fn receive(&mut self) -> Result<(), Box<dyn Error>> {
        while let Ok((at, news)) = self.socket.news.try_recv() {
            self.heard_at = at;
            match news {
                News::Frame(frame) => self.handle(&frame, at)?,
                News::Closed(code, why) => self.come_back(code, &why)?,
            }
        }
        if self.now().since(self.heard_at) > SILENCE_MAX {
            self.come_back(1006, "the server is silent")?;
        }
        let mut ping = Vec::new();
        self.link.poll_ping(self.now(), &mut ping);
        self.send(ping);
        Ok(())
    }

    fn handle(&mut self, frame: &[u8], now: Micros) -> Result<(), Box<dyn Error>> {
        match self.link.handle_frame(frame, now)? {
            ClientEvent::Snapshot { tick, digest } => {
                (self.lost_at, self.wait_ms) = (None, WAIT_MS);
                if let Some((rows, clock)) = self.link.rows().zip(self.link.clock()) {
                    self.others.push(tick, rows, clock, now);
                    if let Some(own) = &mut self.own {
                        own.reconcile(tick, rows, now);
                    }
                }
                if digest == Digest::Differs {
                    let mut resync = Vec::new();
                    self.link.write_resync(&mut resync);
                    self.send(resync);
                }
            }
            ClientEvent::Welcome(welcome) => {
                let (seat, rate) = (welcome.seat.ok_or("no seat")?, welcome.tick_rate);
                // The rules that predict are in this program: it can't play by others.
                if self.link.schema() != Some(&Arena::schema()) {
                    return Err("the server has another game, or another version of it".into());
                }
                self.own.get_or_insert_with(|| Prediction::new(Walk { rate }, seat)).restart();
                self.others.restart();
                self.send_chat();
            }
            ClientEvent::Event { kind, values, .. } => {
                let name = self.link.schema().map(|schema| &schema.events[usize::from(kind)].name);
                println!("{} {values:?}", name.map_or("", String::as_str));
            }
            ClientEvent::Social(Social::Line(line)) => {
                // A server sends the last lines again; after a restart it counts anew.
                let (id, sent_at) = self.newest_line;
                if line.id > id || line.sent_at.0 > sent_at {
                    self.newest_line = (line.id, line.sent_at.0);
                    println!("{:?}: {}", line.speaker, line.text);
                }
            }
            ClientEvent::Social(other) => println!("{other:?}"),
            ClientEvent::Leaving { within } => println!("the server closes within {within:?}"),
            ClientEvent::Pong { .. } | ClientEvent::Model | ClientEvent::Pace { .. } => {}
        }
        Ok(())
    }

    /// Handles the end of a connection: begins the next one, after a while.
    fn come_back(&mut self, code: u16, why: &str) -> Result<(), String> {
        let now = self.now();
        let is_too_late = now.since(*self.lost_at.get_or_insert(now)) > AWAY_MAX;
        match Back::after(code) {
            Back::Resume if !is_too_late => {}
            Back::Anew if self.link.welcome().is_some() => {
                (self.link, self.others, self.own) = Default::default();
                self.wait_ms = WAIT_MS;
            }
            Back::Resume | Back::Anew | Back::No => return Err(format!("{why} ({code})")),
        }
        println!("no connection: {why} ({code})");
        let wait = Micros::from_millis(self.dice.next() % self.wait_ms);
        self.wait_ms = (2 * self.wait_ms).min(WAIT_MS_MAX);
        self.heard_at = now.plus(wait);
        self.socket = connect(&self.address, &self.name, &mut self.link, self.begun, wait.into());
        Ok(())
    }

    /// Makes and sends the inputs that are due.
    fn play(&mut self, keys: &ArenaInput) {
        while let Some(tick) = self.link.poll_input(self.now()) {
            let (mut values, mut input) = ([0; 4], Vec::new());
            keys.write_values(&mut values);
            self.link.write_input(tick, &values, &mut input);
            if let Some(own) = &mut self.own {
                own.push(tick, keys);
            }
            self.send(input);
        }
    }

    /// What a game would draw in each frame; in text.
    fn draw(&mut self, keys: &ArenaInput) -> Option<String> {
        let now = self.now();
        let (clock, schema, welcome) =
            (self.link.clock()?, self.link.schema()?, self.link.welcome()?);
        let view = self.others.view(clock, now)?;
        let ping_ms = clock.rtt()?.0 / 1_000;
        let own = self.own.as_ref()?.shown(keys, self.link.input_part(now), now);
        let mut picture = format!("{ping_ms} ms, you at {own:.1?}");
        for seen in view.iter().filter(|seen| Some(seen.id()) != welcome.seat.map(player_id)) {
            let kind = &schema.kinds[usize::from(seen.kind())];
            let value = |name| {
                let index = kind.fields.iter().position(|field| field.name == name)?;
                let steps = seen.value(&kind.fields, index, welcome.tick_rate);
                Some(steps * kind.fields[index].step)
            };
            if let Some((x, y)) = value("x").zip(value("y")) {
                picture += &format!(", {} at {x:.1} {y:.1}", kind.name);
            }
        }
        let moment = view.moment();
        self.link.set_seen(moment);
        Some(picture)
    }

    fn chat(&mut self, line: &str) {
        if let Err(refused) = self.link.chat(line) {
            println!("{refused}");
        }
        self.send_chat();
    }

    fn send_chat(&mut self) {
        let mut line = Vec::new();
        while self.link.poll_chat(&mut line) {
            self.send(mem::take(&mut line));
        }
    }

    fn send(&self, frame: Vec<u8>) {
        if !frame.is_empty() {
            self.socket.send(Frame::binary(frame.into()));
        }
    }

    /// Gives up the seat, and waits until the server knows.
    fn leave(self) {
        self.socket.send(Frame::close(1000, b""));
        let is_open = |(_, news): (_, News)| matches!(news, News::Frame(_));
        while self.socket.news.recv_timeout(Duration::from_secs(1)).is_ok_and(is_open) {}
    }
}

/// Begins a connection. The hello is written now, though it can't be sent yet: from now on the link
/// makes no inputs until it is welcomed.
fn connect(
    address: &str,
    name: &str,
    link: &mut ClientLink,
    begun: Instant,
    wait: Duration,
) -> Socket {
    // If the server requires tickets, `&ticket=…` follows, unless it resumes.
    let path = match link.welcome() {
        Some(welcome) => format!("/v1/play?match={}&resume=1", welcome.match_id.0),
        None => String::from("/v1/play?match=auto"),
    };
    let socket = Socket::open(address.to_owned(), path, begun, wait);
    let mut hello = Vec::new();
    link.write_hello(name, None, &mut hello);
    socket.send(Frame::binary(hello.into()));
    socket
}

/// A connection. A thread of its own reads it, so that frames have the time at which they arrived,
/// not that of the next rendered frame. If this is dropped, the server keeps the seat.
struct Socket {
    news: Receiver<(Micros, News)>,
    out: channel::UnboundedSender<Frame<'static>>,
}

enum News {
    Frame(Vec<u8>),
    /// The close code, or 1006 without one.
    Closed(u16, String),
}

impl Socket {
    fn open(address: String, path: String, begun: Instant, wait: Duration) -> Self {
        let ((sender, news), (out, frames)) = (mpsc::channel(), channel::unbounded_channel());
        thread::spawn(move || {
            thread::sleep(wait);
            // When nobody listens any more, the connection is about to end.
            let say = |news| _ = sender.send((begun.elapsed().into(), news));
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            let ended = runtime
                .map_err(Into::into)
                .and_then(|runtime| runtime.block_on(run(&address, &path, frames, say)));
            let (code, why) = ended.unwrap_or_else(|error| (1006, error.to_string()));
            say(News::Closed(code, why));
        });
        Self { news, out }
    }

    fn send(&self, frame: Frame<'static>) {
        // A thread that has ended has said why.
        let _ = self.out.send(frame);
    }
}

/// Connects, and passes frames on until the connection ends. Returns the close code and the reason.
async fn run(
    address: &str,
    path: &str,
    mut frames: channel::UnboundedReceiver<Frame<'static>>,
    say: impl Fn(News),
) -> Result<(u16, String), Box<dyn Error>> {
    let connecting = async {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        // For `wss://`, tokio-rustls wraps the socket here.
        let request = Request::get(path)
            .header(header::HOST, address)
            .header(header::UPGRADE, "websocket")
            .header(header::CONNECTION, "upgrade")
            .header(header::SEC_WEBSOCKET_KEY, handshake::generate_key())
            .header(header::SEC_WEBSOCKET_VERSION, "13")
            .header(header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL)
            .body(Empty::<Bytes>::new())?;
        Ok::<_, Box<dyn Error>>(handshake::client(&TokioExecutor::new(), request, socket).await?)
    };
    let (mut websocket, _) = time::timeout(Duration::from_secs(5), connecting).await??;
    websocket.set_max_message_size(SERVER_FRAME_BYTES_MAX + 1);
    let (mut reader, mut writer) = websocket.split(split);
    let reading = async {
        loop {
            let frame = reader.read_frame(&mut |_| ready(Ok::<_, Infallible>(()))).await?;
            if frame.opcode == OpCode::Close {
                let (code, why) = frame.payload.split_at(frame.payload.len().min(2));
                let code = code.try_into().map_or(1005, u16::from_be_bytes);
                return Ok((code, String::from_utf8_lossy(why).into_owned()));
            }
            say(News::Frame(frame.payload.to_vec()));
        }
    };
    let writing = async {
        while let Some(frame) = frames.recv().await {
            writer.write_frame(frame).await?;
        }
        Ok((1006, String::from("dropped")))
    };
    tokio::select! { ended = reading => ended, ended = writing => ended }
}
