//! Whole stories of a session, whose server is the test.

use super::{
    backoff::{GIVE_UP, WAIT, WAIT_MAX},
    *,
};
use crate::{
    arena::predict::Walk,
    close::CloseReason,
    ids::{Seat, SessionId},
    link::server::write_message,
    replica::Prediction,
    schema::{Field, Schema},
    social::{Line, Speaker},
    testing,
    time::TickRate,
    wire::{self, ClientMessage, Hello, Kept, Pong, Resume, ServerMessage},
};

const REQUESTED: MatchId = MatchId(7);
const TOKEN: ResumeToken = ResumeToken([7; 16]);

#[test]
fn a_lost_connection_is_resumed_with_what_the_client_has() {
    let mut story = Story::new(SessionOptions::default());
    assert_eq!(story.session.state(), &SessionState::Connecting);
    let (path, hello) = story.connect();
    assert_eq!(path, "/v1/play?match=auto");
    assert_eq!((hello.schema_hash, hello.resume), (None, None));
    story.join();
    story.play(9);
    assert_eq!(story.session.state(), &SessionState::Playing);
    assert!(story.makes_inputs());

    story.lose(1006);
    assert_eq!(story.session.state(), &SessionState::Resuming(closed(1006)));
    assert!(!story.makes_inputs(), "without a connection");
    assert_eq!(story.view(), Some(Tick(9)), "the others stay where they are");
    let (path, hello) = story.connect();
    assert_eq!(path, "/v1/play?match=1&resume=1");
    let kept = Kept { applied: Some(Tick(9)), events: 0, model_hash: 0x811C_9DC5 };
    assert_eq!(hello.resume, Some(Resume { token: TOKEN, kept: Some(kept) }));
    assert_eq!(story.told(&resumed()), Told::Resumed);
    assert_eq!(story.session.state(), &SessionState::Resuming(closed(1006)), "no snapshot yet");
    story.play(10);
    assert_eq!(story.session.state(), &SessionState::Playing);
    assert!(story.makes_inputs());
}

#[test]
fn a_client_joins_anew_after_a_restart_of_the_server() {
    for (gone, seed) in [(4011, 1), (4011, 2), (4012, 3), (4012, 4)] {
        let mut story = Story::playing(SessionOptions::default());
        story.session.backoff = Backoff::new(seed);
        story.lose(1012);
        for _ in 0..8 {
            assert_eq!(story.connect().0, "/v1/play?match=1&resume=1");
            story.lose(1006);
        }
        story.connect();
        story.lose(gone);
        assert_eq!(story.session.state(), &SessionState::Resuming(closed(gone)));
        assert!(story.session.link().welcome().is_none() && story.view().is_none());
        let lost_at = story.now;
        let (path, hello) = story.connect();
        assert!(story.now.since(lost_at) <= WAIT, "the server is there");
        assert_eq!((path.as_str(), hello.resume), ("/v1/play?match=auto", None));
        let other = Welcome { session: SessionId(5), match_id: MatchId(3), ..welcome() };
        assert_eq!(story.told(&other), Told::Joined);
        story.play(2);
        story.lose(1006);
        assert_eq!(story.connect().0, "/v1/play?match=3&resume=1");
    }
}

#[test]
fn a_program_that_was_started_again_resumes_its_session_or_joins() {
    for gone in [None, Some(4011), Some(4012)] {
        let options = SessionOptions { mode: String::from("duel"), ..SessionOptions::default() };
        let mut story = Story {
            session: Session::resuming(options, MatchId(1), TOKEN, 5),
            now: Micros::from_secs(1),
        };
        assert_eq!(story.due(), Connect::Resume);
        let (path, hello) = story.connect();
        assert_eq!(path, "/v1/play?match=1&resume=1");
        assert_eq!(hello.resume, Some(Resume { token: TOKEN, kept: None }));
        if let Some(code) = gone {
            story.lose(code);
            assert_eq!(story.due(), Connect::Join(None));
            let (path, hello) = story.connect();
            assert_eq!((path.as_str(), hello.resume), ("/v1/play?match=auto&mode=duel", None));
        }
        story.join();
        story.play(9);
    }
}

#[test]
fn a_client_that_is_refused_is_told_why() {
    for code in [1000, 4001, 4010, 4011, 4020, 4024] {
        let mut story = Story::new(SessionOptions::default());
        story.connect();
        story.lose(code);
        story.check_ended(code);
    }
    // It had a session, but now the match that the user wants is gone.
    let options = SessionOptions { match_id: Some(REQUESTED), ..SessionOptions::default() };
    let mut story = Story::new(options);
    assert_eq!(story.connect().0, "/v1/play?match=7");
    assert_eq!(story.told(&Welcome { match_id: REQUESTED, ..welcome() }), Told::Joined);
    for path in ["/v1/play?match=7&resume=1", "/v1/play?match=7"] {
        story.lose(if path.contains("resume") { 1006 } else { 4011 });
        assert_eq!(story.connect().0, path);
    }
    story.lose(4011);
    story.check_ended(4011);
}

#[test]
fn a_session_comes_back_after_the_close_codes_that_the_protocol_says() {
    let codes = CloseReason::ALL.map(CloseReason::code).into_iter().chain([1005, 1006, 1011]);
    for code in codes {
        let mut story = Story::playing(SessionOptions::default());
        story.lose(code);
        match Back::after(code) {
            Back::Resume => assert_eq!(story.connect().0, "/v1/play?match=1&resume=1", "{code}"),
            Back::Anew => assert_eq!(story.connect().0, "/v1/play?match=auto", "{code}"),
            Back::No => story.check_ended(code),
        }
    }
}

#[test]
fn an_invalid_frame_on_each_connection_ends_a_session_unless_it_has_played_well() {
    let ends_after = |played: Micros| {
        let mut story = Story::playing(SessionOptions::default());
        (1..=10).find(|_| {
            story.now = story.now.plus(played);
            assert!(story.session.handle_frame(&[0x80, 0xFF, 0xFF], story.now).is_none());
            if matches!(story.session.state(), SessionState::Ended(_)) {
                return true;
            }
            let (path, hello) = story.connect();
            assert_eq!(path, "/v1/play?match=1&resume=1", "in the same seat");
            assert_eq!(hello.resume, Some(Resume { token: TOKEN, kept: None }));
            assert_eq!(story.told(&welcome()), Told::Joined, "with an empty link");
            story.play(9);
            false
        })
    };
    assert_eq!(ends_after(Micros::from_secs(1)), Some(5));
    assert_eq!(ends_after(Micros::from_secs(11)), None);
}

#[test]
fn a_silent_connection_is_dead_and_says_no_more() {
    let mut story = Story::playing(SessionOptions::default());
    for tick in 10..20 {
        story.now = story.now.plus(Micros::from_secs(1));
        assert!(story.play_late(tick));
        assert_eq!(story.session.poll_connect(story.now), None);
    }
    assert_eq!(story.session.state(), &SessionState::Playing);
    let heard_at = story.now;
    while story.session.poll_connect(story.now).is_none()
        && story.session.state() == &SessionState::Playing
    {
        story.now = story.now.plus(Micros::from_millis(10));
    }
    let silence = story.now.since(heard_at);
    assert!(silence > TIMEOUT && silence < Micros::from_millis(6_100), "{silence:?}");
    let reason = String::from("the connection timed out");
    let state = SessionState::Resuming(Closed { code: NO_CODE, reason });
    assert_eq!(story.session.state(), &state);
    assert!(!story.play_late(20));
    story.lose(1000);
    assert_eq!(story.session.state(), &state, "what it says does not count");
    assert_eq!(story.session.poll_frame(story.now), None);
    story.connect();
    // Nobody answers this one either.
    story.now = story.now.plus(Micros::from_secs(7));
    assert_eq!(story.connect().0, "/v1/play?match=1&resume=1");
}

#[test]
fn the_waits_double_with_full_jitter_and_begin_anew_after_a_good_connection() {
    let waits = (0..100).map(|seed| {
        let mut story = Story::playing(SessionOptions::default());
        story.session.backoff = Backoff::new(seed);
        let mut waits: Vec<_> = (0..7).map(|_| story.wait_ms()).collect();
        for (tick, played_s) in [(10, 1), (11, 11)] {
            assert_eq!(story.told(&resumed()), Told::Resumed);
            story.play(tick);
            story.now = story.now.plus(Micros::from_secs(played_s));
            waits.push(story.wait_ms());
        }
        waits
    });
    let waits: Vec<_> = waits.collect();
    for (n, most) in [250, 500, 1_000, 2_000, 4_000, 5_000, 5_000, 5_000, 250].iter().enumerate() {
        let mut nth: Vec<_> = waits.iter().map(|waits| waits[n]).collect();
        nth.sort_unstable();
        assert!(nth[0] < most / 8 && nth[99] > most * 7 / 8 && nth[99] <= *most, "{n}: {nth:?}");
        assert!(nth[25] > most / 8 && nth[75] < most * 7 / 8, "{n}: {nth:?}");
    }
}

#[test]
fn a_session_that_can_not_reconnect_ends_after_a_minute() {
    for is_first in [true, false] {
        let options = SessionOptions::default();
        let mut story = if is_first { Story::new(options) } else { Story::playing(options) };
        if is_first {
            story.connect();
        }
        let lost_at = story.now;
        let mut attempts = 0;
        story.lose(1006);
        while matches!(story.session.state(), SessionState::Resuming(_)) && attempts < 100 {
            attempts += 1;
            story.connect();
            story.lose(1006);
        }
        let tried = story.now.since(lost_at);
        story.check_ended(1006);
        assert!(tried > GIVE_UP && tried < Micros::from_secs(66), "{tried:?}");
        assert!((12..60).contains(&attempts), "{attempts} attempts");
    }
}

#[test]
fn a_spectators_session_ends_with_its_connection() {
    let options = SessionOptions { spectate: true, ..SessionOptions::default() };
    let mut story = Story::new(options);
    assert_eq!(story.connect().0, "/v1/play?match=auto&role=spectator");
    let watching = Welcome { seat: None, ..welcome() };
    assert_eq!(story.told(&watching), Told::Joined);
    assert_eq!(story.told_line(1, 50), Told::Line(1));
    story.play(9);
    assert!(!story.makes_inputs());

    story.lose(1006);
    assert!(story.session.link().welcome().is_none() && story.view().is_none());
    assert_eq!(story.session.chat("hello?"), Err(ChatRefused::NotSeated));
    let (path, hello) = story.connect();
    assert_eq!(path, "/v1/play?match=1&role=spectator", "the same match");
    assert_eq!(hello.resume, None);
    assert_eq!(story.told(&watching), Told::Joined);
    assert_eq!(story.told_line(1, 50), Told::Nothing, "a repeated line");
    assert_eq!(story.told_line(2, 60), Told::Line(2));
    assert_eq!(story.told_line(1, 70), Told::Line(1), "a restarted match counts anew");

    story.lose(4011);
    assert_eq!(story.connect().0, "/v1/play?match=auto&role=spectator", "that match is over");
    assert_eq!(story.told(&Welcome { match_id: MatchId(2), ..watching }), Told::Joined);
    assert_eq!(story.told_line(1, 30), Told::Line(1), "another match's lines count on their own");
    story.lose(4011);
    story.connect();
    story.lose(4011);
    story.check_ended(4011);
}

#[test]
fn a_join_needs_a_ticket_and_a_resume_does_not() {
    let options = SessionOptions { mode: String::from("2 v 2"), ..SessionOptions::default() };
    let mut story = Story::new(options);
    assert_eq!(story.due(), Connect::Join(None));
    let path = story.session.connect("a.b-c_d+", story.now);
    assert_eq!(path, "/v1/play?match=auto&mode=2%20v%202&ticket=a.b-c_d%2B");
    story.join();
    story.lose(1006);
    assert_eq!(story.due(), Connect::Resume);
    assert_eq!(story.session.connect("t", story.now), "/v1/play?match=1&resume=1");
    story.lose(4012);
    assert_eq!(story.due(), Connect::Join(None));
    // The user logs in, which takes a while.
    story.now = story.now.plus(Micros::from_secs(90));
    assert_eq!(story.session.state(), &SessionState::Resuming(closed(4012)));
    story.session.connect("u", story.now);
    story.lose(1006);
    assert_eq!(story.session.state(), &SessionState::Resuming(closed(1006)));
}

#[test]
fn without_a_ticket_for_its_match_a_spectator_joins_the_requested_one() {
    let options = SessionOptions { spectate: true, ..SessionOptions::default() };
    let mut story = Story::new(options);
    let no_ticket = Closed { code: NO_CODE, reason: String::from("no ticket") };
    story.due();
    story.session.handle_no_ticket(no_ticket.reason.clone(), story.now);
    assert_eq!(story.session.state(), &SessionState::Resuming(no_ticket.clone()));
    story.connect();
    story.told(&Welcome { seat: None, ..welcome() });
    story.play(9);
    story.lose(1006);
    assert_eq!(story.due(), Connect::Join(Some(MatchId(1))));
    story.session.handle_no_ticket(no_ticket.reason.clone(), story.now);
    while !matches!(story.session.state(), SessionState::Ended(_)) {
        assert_eq!(story.due(), Connect::Join(None));
        story.session.handle_no_ticket(no_ticket.reason.clone(), story.now);
    }
    assert_eq!(story.session.state(), &SessionState::Ended(no_ticket));
}

#[test]
fn chat_waits_for_the_connection() {
    let mut story = Story::new(SessionOptions::default());
    assert_eq!(story.session.chat("too early"), Err(ChatRefused::NotSeated));
    story.connect();
    story.join();
    for line in ["one", "two"] {
        story.session.chat(line).unwrap();
    }
    assert_eq!(story.chats(), ["one", "two"]);
    story.play(9);
    story.lose(1006);
    story.session.chat("three").unwrap();
    assert_eq!(story.chats(), [""; 0]);
    story.connect();
    assert_eq!(story.chats(), [""; 0], "not before the welcome");
    assert_eq!(story.told(&Welcome { lines: 1, ..resumed() }), Told::Resumed);
    assert_eq!(story.chats(), ["two", "three"]);
    story.lose(4010);
    assert_eq!(story.session.chat("over"), Err(ChatRefused::NotSeated));
}

#[test]
fn others_are_shown_in_the_past_which_a_lost_connection_does_not_extend() {
    let mut story = Story::playing(SessionOptions::default());
    let watch = |story: &mut Story, ticks: std::ops::Range<u32>| {
        for tick in ticks {
            story.now = story.now.plus(Micros(33_333));
            assert!(story.play_late(tick));
            story.session.advance(story.now);
            while let Some(tick) = story.session.poll_input(story.now) {
                story.session.write_input(tick, &[1]);
            }
        }
    };
    watch(&mut story, 10..100);
    assert!(story.view().unwrap().since(Tick(99)) < 0, "between two snapshots");
    let input = story.sent().into_iter().rfind(|frame| frame[0] == 1).unwrap();
    let behind = u16::from_le_bytes([input[13], input[14]]);
    assert!((256..1024).contains(&behind), "what the player saw is {behind} parts behind");
    // Interpolation takes a single stall for an outlier.
    for first in [136, 262] {
        story.lose(1006);
        for _ in 0..36 {
            story.now = story.now.plus(Micros(33_333));
            story.session.advance(story.now);
        }
        story.connect();
        assert_eq!(story.told(&resumed()), Told::Resumed);
        watch(&mut story, first..first + 90);
    }
    let delay = story.session.others.delay().unwrap();
    assert!(delay < 200_000, "{delay} us behind");
}

#[test]
fn snapshots_are_acknowledged_by_inputs_or_alone() {
    let mut story = Story::playing(SessionOptions::default());
    let mut acks = |makes_inputs: bool| {
        let (mut acks, mut applied) = (0, story.session.link().applied().unwrap());
        for millis in 0..1_000 {
            story.now = story.now.plus(Micros::from_millis(1));
            if millis % 33 == 0 {
                applied = applied.plus(1);
                story.play_late(applied.0);
            }
            while makes_inputs && let Some(tick) = story.session.poll_input(story.now) {
                story.session.write_input(tick, &[1]);
            }
            acks += story.sent().iter().filter(|frame| frame[0] == 2).count();
        }
        acks
    };
    assert!((9..=10).contains(&acks(false)), "one each 100 ms");
    assert!(acks(true) <= 1, "only before the first input");
}

#[test]
fn wrong_rows_are_requested_again() {
    let mut story = Story::playing(SessionOptions::default());
    story.sent();
    let wrong_digest = [0x85, 10, 0, 0, 0, 1, 2, 3, 4];
    assert!(story.session.handle_frame(&wrong_digest, story.now).is_some());
    assert_eq!(message(&story.session.poll_frame(story.now).unwrap()), ClientMessage::Resync);
    assert!(!story.sent().iter().any(|frame| *frame == [0, 2]), "once");
}

/// Engines run systems on any thread, and share resources between them.
const _: fn() = || {
    const fn check<T: Send + Sync>() {}
    check::<Session>();
    check::<Prediction<Walk>>();
};

/// A session and its time.
struct Story {
    session: Session,
    now: Micros,
}

/// What an event told the game.
#[derive(Debug, PartialEq)]
enum Told {
    Joined,
    Resumed,
    Line(u32),
    Nothing,
}

impl Story {
    fn new(options: SessionOptions) -> Self {
        Self { session: Session::new(options, 5), now: Micros::from_secs(1) }
    }

    /// One that has joined match 1, and applied tick 9.
    fn playing(options: SessionOptions) -> Self {
        let mut story = Self::new(options);
        story.connect();
        story.join();
        story.play(9);
        story
    }

    /// Waits until a connection is due.
    #[track_caller]
    fn due(&mut self) -> Connect {
        let began = self.now;
        loop {
            if let Some(connect) = self.session.poll_connect(self.now) {
                return connect;
            }
            assert!(self.now.since(began) <= WAIT_MAX, "{:?}", self.session.state());
            self.now = self.now.plus(Micros::from_millis(1));
        }
    }

    /// Begins the next connection. Returns what it requests, and its first frame.
    #[track_caller]
    fn connect(&mut self) -> (String, Hello) {
        self.due();
        let path = self.session.connect("", self.now);
        assert_eq!(self.session.poll_connect(self.now), None, "it is being made");
        let frame = self.session.poll_frame(self.now).unwrap();
        let ClientMessage::Hello(hello) = message(&frame) else { panic!("{frame:?}") };
        assert_eq!(self.session.poll_frame(self.now), None, "nothing before the welcome");
        (path, hello)
    }

    #[track_caller]
    fn join(&mut self) {
        assert_eq!(self.told(&welcome()), Told::Joined);
    }

    fn told(&mut self, welcome: &Welcome) -> Told {
        self.told_by(&ServerMessage::Welcome(Box::new(welcome.clone())))
    }

    fn told_line(&mut self, id: u32, sent_at: u64) -> Told {
        let (sent_at, speaker) = (UnixMillis(sent_at), Speaker::Operator);
        let line = Line { id, sent_at, speaker, text: String::from("hello") };
        self.told_by(&ServerMessage::Social(Social::Line(line)))
    }

    fn told_by(&mut self, message: &ServerMessage<'_>) -> Told {
        let mut frame = Vec::new();
        write_message(message, &mut frame);
        match self.session.handle_frame(&frame, self.now) {
            Some(SessionEvent::Joined(_)) => Told::Joined,
            Some(SessionEvent::Resumed(_)) => Told::Resumed,
            Some(SessionEvent::Social(Social::Line(line))) => Told::Line(line.id),
            None => Told::Nothing,
            other => panic!("{other:?}"),
        }
    }

    /// Delivers a full snapshot of `tick`, when it is due.
    #[track_caller]
    fn play(&mut self, tick: u32) {
        let (client_time, server_time) = (self.now, self.now);
        let (tick_time, held) = (self.now, Micros(0));
        let pong = Pong { client_time, server_time, held, tick: Tick(tick), tick_time };
        assert_eq!(self.told_by(&ServerMessage::Pong(pong)), Told::Nothing);
        assert!(self.play_late(tick));
    }

    /// Delivers a full snapshot of `tick`, without rows. Returns whether the game is told.
    fn play_late(&mut self, tick: u32) -> bool {
        let frame = [&[0x81][..], &tick.to_le_bytes()].concat();
        match self.session.handle_frame(&frame, self.now) {
            Some(SessionEvent::Snapshot { tick: applied, .. }) => applied == Tick(tick),
            None => false,
            other => panic!("{other:?}"),
        }
    }

    fn lose(&mut self, code: u16) {
        self.session.handle_closed(closed(code), self.now);
    }

    /// Loses the connection, and begins the next one. Returns how long it has waited.
    fn wait_ms(&mut self) -> u64 {
        let lost_at = self.now;
        self.lose(1006);
        self.connect();
        self.now.since(lost_at).0 / 1_000
    }

    /// Whether it makes inputs in the next 200 ms.
    fn makes_inputs(&mut self) -> bool {
        let mut makes_any = false;
        for millis in 0..200 {
            let now = self.now.plus(Micros::from_millis(millis));
            while let Some(tick) = self.session.poll_input(now) {
                self.session.write_input(tick, &[1]);
                makes_any = true;
            }
        }
        makes_any
    }

    fn view(&mut self) -> Option<Tick> {
        self.session.advance(self.now);
        self.session.view().map(|view| view.from.0)
    }

    fn sent(&mut self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.session.poll_frame(self.now)).collect()
    }

    fn chats(&mut self) -> Vec<String> {
        let messages = self.sent().into_iter().filter(|frame| frame[0] == 0);
        let texts = messages.map(|frame| match message(&frame) {
            ClientMessage::Chat(text) => Some(text),
            ClientMessage::Hello(_) | ClientMessage::Ping { .. } | ClientMessage::Resync => None,
        });
        texts.flatten().collect()
    }

    #[track_caller]
    fn check_ended(&mut self, code: u16) {
        assert_eq!(self.session.state(), &SessionState::Ended(closed(code)));
        self.now = self.now.plus(Micros::from_secs(100));
        assert_eq!(self.session.poll_connect(self.now), None);
        assert_eq!(self.session.poll_frame(self.now), None);
    }
}

fn message(frame: &[u8]) -> ClientMessage {
    wire::read_client(&frame[1..]).unwrap()
}

fn closed(code: u16) -> Closed {
    Closed { code, reason: String::from("why") }
}

fn welcome() -> Welcome {
    let schema = Schema::new("test").kind("thing", [Field::new("x", 1.0, 0, 9)]).input("key", 0, 3);
    let welcome = testing::welcome(schema, TickRate::new(30).unwrap());
    assert_eq!((welcome.seat, welcome.resume), (Some(Seat(0)), TOKEN));
    welcome
}

/// To a session that was resumed.
fn resumed() -> Welcome {
    Welcome { schema: None, model: None, ..welcome() }
}
