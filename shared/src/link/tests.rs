//! Both links talking to each other.

use super::{
    frames::{MESSAGE, SNAPSHOT},
    integers::pack,
    *,
};
use crate::{
    codec::Encoder,
    ids::{EntityId, InputSeq, SessionId},
    rows::Rows,
    schema::{Field, Schema},
    social::{CHAT_CHARS_MAX, ChatRefused, NAME_CHARS_MAX},
    testing,
    time::{Micros, Moment, TickRate},
    wire::{
        self, CLIENT_FRAME_BYTES_MAX, ClientMessage, Pong, ServerMessage, Welcome, schema_hash,
    },
};

#[test]
fn snapshots_of_any_gap_arrive_whole() {
    let mut pair = Pair::new();
    for tick in [7, 8, 9, 12, 40, 41, 200, 201] {
        pair.check_snapshot(Tick(tick));
    }
}

#[test]
fn a_resync_brings_a_full_snapshot() {
    let mut pair = Pair::new();
    pair.check_snapshot(Tick(7));
    let rows = rows(8);
    assert_eq!(pair.snapshot(Tick(8), &rows, rows.digest() ^ 1), Digest::Differs);
    let mut frame = Vec::new();
    pair.client.write_resync(&mut frame);
    pair.server.handle_frame(&frame, &[], &mut [], Micros(0)).unwrap();
    assert!(pair.server.basis(Tick(9)).ticks().is_empty());
    pair.check_snapshot(Tick(9));
    pair.check_snapshot(Tick(10));
}

#[test]
fn a_resumed_session_continues_with_a_delta_against_the_kept_rows() {
    let mut pair = Pair::new();
    for tick in 7..12 {
        pair.check_snapshot(Tick(tick));
    }
    let kept = pair.reconnect();
    assert_eq!(kept.applied, Some(Tick(11)));
    pair.server.resume_from(Tick(11));
    assert_eq!(pair.server.basis(Tick(40)).ticks(), [Tick(11)]);
    let mut frame = Vec::new();
    assert_eq!(pair.client.write_input(Tick(40), &[3], &mut frame), None, "no snapshot yet");
    pair.check_snapshot(Tick(40));
    pair.check_snapshot(Tick(41));
    assert_eq!(pair.client.write_input(Tick(42), &[3], &mut frame), Some(InputSeq(78)));
}

#[test]
fn a_kept_tick_that_history_has_evicted_leads_to_a_full_snapshot() {
    let mut pair = Pair::new();
    pair.check_snapshot(Tick(7));
    pair.reconnect();
    pair.check_snapshot(Tick(9));
    pair.reconnect();
    pair.server.resume_from(Tick(9));
    pair.check_snapshot(Tick(900));
}

#[test]
fn a_resuming_client_sends_how_many_events_it_has_received() {
    let mut pair = Pair::new();
    let mut frame = Vec::new();
    let event = ServerMessage::Event { tick: Tick(3), kind: 0, values: (&[][..]).into() };
    server::write_message(&event, &mut frame);
    for _ in 0..3 {
        pair.client.handle_frame(&frame, Micros(0)).unwrap();
    }
    assert_eq!(pair.reconnect().events, 3);
}

#[test]
fn a_second_welcome_is_out_of_order() {
    let mut pair = Pair::new();
    let mut frame = Vec::new();
    server::write_message(&ServerMessage::Welcome(Box::new(welcome())), &mut frame);
    check_fault(&mut pair, &frame, &ServerFault::OutOfOrder);
}

#[test]
fn a_resuming_client_rejects_the_welcome_of_another_session() {
    let again = || Welcome { schema: None, ..welcome() };
    for other in [
        welcome(),
        Welcome { session: SessionId(2), ..again() },
        Welcome { schema_hash: 1, ..again() },
        // The server has received a line that was never sent.
        Welcome { lines: 1, ..again() },
    ] {
        let mut pair = Pair::new();
        pair.client.write_hello("", None, &mut Vec::new());
        let mut frame = Vec::new();
        server::write_message(&ServerMessage::Welcome(Box::new(other)), &mut frame);
        check_fault(&mut pair, &frame, &ServerFault::OutOfOrder);
    }
}

#[test]
fn pings_are_frequent_at_first_and_after_a_reconnect() {
    let mut pair = Pair::new();
    let pings = |pair: &mut Pair, from: u64| {
        let mut frame = Vec::new();
        let is_due = |millis: &u64| {
            frame.clear();
            pair.client.poll_ping(Micros::from_millis(*millis), &mut frame);
            !frame.is_empty()
        };
        (from..from + 2_000).step_by(10).filter(is_due).map(|at| at - from).collect::<Vec<_>>()
    };
    let often = [0, 100, 200, 300, 400, 500, 600, 700, 1_200, 1_700];
    assert_eq!(pings(&mut pair, 0), often);
    assert_eq!(pings(&mut pair, 2_200), [0, 500, 1_000, 1_500]);
    pair.reconnect();
    assert_eq!(pings(&mut pair, 4_300), often);
}

#[test]
fn a_slowdown_ends_with_the_connection_unless_the_next_one_says_it_again() {
    let mut pair = Pair::new();
    let interval = pair.client.clock().unwrap().interval();
    let pace = wire::Pace { slowdown: 3, tick: Tick(1), tick_time: Micros(0) };
    let mut frame = Vec::new();
    server::write_message(&ServerMessage::Pace(pace), &mut frame);
    pair.client.handle_frame(&frame, Micros(0)).unwrap();
    assert_eq!(pair.client.clock().unwrap().interval(), Micros(3 * interval.0));
    pair.reconnect();
    assert_eq!(pair.client.clock().unwrap().interval(), interval);
}

#[test]
fn inputs_are_numbered_and_accepted() {
    let mut pair = Pair::new();
    let mut frame = Vec::new();
    assert_eq!(pair.client.write_input(Tick(9), &[3], &mut frame), None, "no snapshot yet");
    pair.check_snapshot(Tick(7));
    for seq in 1..4 {
        frame.clear();
        let sent = pair.client.write_input(Tick(9), &[3], &mut frame);
        assert_eq!(sent, Some(InputSeq(seq)));
        let mut values = [0];
        let received = pair.server.handle_frame(&frame, &schema().input, &mut values, Micros(0));
        let seen = Moment::from(Tick(7));
        let expected = Received::Input { seq: InputSeq(seq), tick: Tick(9), seen };
        assert_eq!((received, values), (Ok(expected), [3]));
    }
}

#[test]
fn the_seen_moment_never_goes_back_whatever_a_player_is_shown() {
    let mut pair = Pair::new();
    let seen = |pair: &mut Pair| {
        let mut frame = Vec::new();
        pair.client.write_input(Tick(9), &[3], &mut frame).unwrap();
        match pair.server.handle_frame(&frame, &schema().input, &mut [0], Micros(0)) {
            Ok(Received::Input { seen, .. }) => seen,
            other => panic!("{other:?}"),
        }
    };
    (7..=9).for_each(|tick| pair.check_snapshot(Tick(tick)));
    assert_eq!(seen(&mut pair), Moment::from(Tick(9)), "nothing was shown yet");
    pair.client.set_seen(Moment { tick: Tick(7), part: 3 });
    assert_eq!(seen(&mut pair), Moment::from(Tick(9)));
    pair.check_snapshot(Tick(10));
    pair.client.set_seen(Moment { tick: Tick(9), part: 200 });
    assert_eq!(seen(&mut pair), Moment { tick: Tick(9), part: 200 });
}

#[test]
fn the_part_of_a_tick_since_the_newest_input_stays_within_it() {
    let mut pair = Pair::new();
    pair.check_snapshot(Tick(7));
    assert_eq!(pair.client.input_part(Micros(0)), 0.0, "no pong yet");
    let [client_time, tick_time] = [Micros(0), Micros(1_000_000)];
    let pong =
        Pong { client_time, server_time: tick_time, held: Micros(0), tick: Tick(7), tick_time };
    let mut frame = Vec::new();
    server::write_message(&ServerMessage::Pong(pong), &mut frame);
    pair.client.handle_frame(&frame, Micros(0)).unwrap();
    // Inputs are made 8 ms ahead; those for ticks 8 and 9 are due at 25.3 and 58.7 ms.
    assert_eq!(pair.client.poll_input(Micros(0)), None);
    assert_eq!(pair.client.poll_input(Micros(25_334)), Some(Tick(8)));
    let parts = [25_334, 42_000, 58_600, 12_000_000].map(|now| pair.client.input_part(Micros(now)));
    assert_eq!(parts.map(|part| (part * 100.0).round()), [0.0, 50.0, 100.0, 100.0]);
    pair.client.write_hello("", None, &mut Vec::new());
    assert_eq!(pair.client.input_part(Micros(42_000)), 0.0, "no connection");
    assert_eq!(pair.client.poll_input(Micros(12_000_000)), None);
}

#[test]
fn typed_text_is_never_too_long_for_the_protocol() {
    let received = |frame: &[u8]| {
        assert!(frame.len() <= CLIENT_FRAME_BYTES_MAX, "{} bytes", frame.len());
        wire::read_client(&frame[1..]).unwrap()
    };
    let mut frame = Vec::new();
    ClientLink::default().write_hello(&"😀".repeat(1_000), None, &mut frame);
    let ClientMessage::Hello(hello) = received(&frame) else { panic!("{frame:?}") };
    assert_eq!(hello.name, "😀".repeat(NAME_CHARS_MAX));

    let mut client = Pair::new().client;
    let longest = "😀".repeat(CHAT_CHARS_MAX);
    frame.clear();
    assert_eq!(client.chat(&format!(" {longest}\n")), Ok(()));
    assert!(client.poll_chat(&mut frame));
    assert_eq!(received(&frame), ClientMessage::Chat(longest.clone()));
    assert_eq!(client.chat(&(longest + "😀")), Err(ChatRefused::TooLong));
    assert!(!client.poll_chat(&mut Vec::new()));
}

#[test]
#[should_panic(expected = "the input does not fit the schema: key is 4, outside 0 to 3")]
fn an_input_out_of_range_is_the_clients_own_fault() {
    let mut pair = Pair::new();
    pair.check_snapshot(Tick(7));
    pair.client.write_input(Tick(9), &[4], &mut Vec::new());
}

#[test]
fn a_basis_has_only_ticks_that_history_still_has() {
    let mut basis = Basis::default();
    for tick in 50..=62 {
        basis = basis.followed_by(Tick(tick));
    }
    assert_eq!(basis.ticks().len(), BASIS_MAX);
    assert_eq!(basis.ticks()[..2], [Tick(62), Tick(61)]);
    assert_eq!(basis.serving(Tick(124)).ticks(), [Tick(62), Tick(61)]);
    assert_eq!(basis.serving(Tick(126)).ticks(), []);
    assert_eq!(basis.serving(Tick(126)), Basis::default());
}

#[test]
fn hostile_frames_are_faults() {
    let mut pair = Pair::new();
    check_fault(&mut pair, &[], &ServerFault::Malformed);
    check_fault(&mut pair, &[1], &ServerFault::Malformed);
    check_fault(&mut pair, &[SNAPSHOT], &ServerFault::Malformed);
    check_fault(&mut pair, &[MESSAGE, 77], &ServerFault::Malformed);
    pair.check_snapshot(Tick(7));
    check_fault(&mut pair, &[SNAPSHOT | 0x03], &ServerFault::Malformed);
    for (kind, values) in [(1, vec![]), (0, vec![1])] {
        let mut event = Vec::new();
        let unknown = ServerMessage::Event { tick: Tick(1), kind, values: values.into() };
        server::write_message(&unknown, &mut event);
        check_fault(&mut pair, &event, &ServerFault::Malformed);
    }
}

#[test]
fn an_invalid_snapshot_leaves_the_newest_one_unchanged() {
    let mut pair = Pair::new();
    pair.check_snapshot(Tick(7));
    let rows = pair.client.rows().cloned();
    // A full one of tick 8 with another secret of the owner and trailing bytes, and one that is not
    // newer.
    let [garbage, old] = [(8, &[1; 12][..]), (7, &[])]
        .map(|(tick, rest): (u8, &[u8])| [&[SNAPSHOT | 1 | 8, tick, 0, 0, 0], rest].concat());
    assert!(matches!(pair.client.handle_frame(&garbage, Micros(0)), Err(ServerFault::Codec(_))));
    assert_eq!(pair.client.owner(), [0]);
    check_fault(&mut pair, &old, &ServerFault::OutOfOrder);
    assert_eq!((pair.client.applied(), pair.client.rows()), (Some(Tick(7)), rows.as_ref()));
    pair.check_snapshot(Tick(8));
}

#[track_caller]
fn check_fault(pair: &mut Pair, frame: &[u8], expected: &ServerFault) {
    let result = pair.client.handle_frame(frame, Micros(0));
    assert_eq!(result.err().as_ref(), Some(expected), "{frame:?}");
}

struct Pair {
    server: ServerLink,
    client: ClientLink,
    encoder: Encoder,
    sent: Vec<(Tick, Rows)>,
}

impl Pair {
    fn new() -> Self {
        let mut server = ServerLink::new(Micros(0));
        let mut client = ClientLink::default();
        let mut frame = Vec::new();
        server.welcome(&welcome());
        server::write_message(&ServerMessage::Welcome(Box::new(welcome())), &mut frame);
        client.handle_frame(&frame, Micros(0)).unwrap();
        let encoder = Encoder::new(&schema(), welcome().tick_rate);
        Self { server, client, encoder, sent: Vec::new() }
    }

    /// Makes a new connection, on which the client is welcomed. Returns what its hello said that it
    /// has kept.
    fn reconnect(&mut self) -> wire::Kept {
        self.server = ServerLink::new(Micros(0));
        let mut frame = Vec::new();
        self.client.write_hello("", None, &mut frame);
        let ClientMessage::Hello(hello) = wire::read_client(&frame[1..]).unwrap() else {
            panic!("{frame:?}");
        };
        assert_eq!(hello.schema_hash, Some(schema_hash(&schema())));
        let welcome = Welcome { seq: InputSeq(77), schema: None, model: None, ..welcome() };
        self.server.welcome(&welcome);
        frame.clear();
        server::write_message(&ServerMessage::Welcome(Box::new(welcome)), &mut frame);
        self.client.handle_frame(&frame, Micros(0)).unwrap();
        hello.resume.unwrap().kept.unwrap()
    }

    #[track_caller]
    fn check_snapshot(&mut self, tick: Tick) {
        let rows = rows(tick.0);
        assert_eq!(self.snapshot(tick, &rows, rows.digest()), Digest::Agrees, "{tick:?}");
        assert_eq!(self.client.rows(), Some(&rows));
        assert_eq!(self.client.owner(), [i32::from(tick.0.is_multiple_of(3))]);
    }

    /// Sends a snapshot, and returns the client's result for its digest.
    #[track_caller]
    fn snapshot(&mut self, tick: Tick, rows: &Rows, digest: u32) -> Digest {
        let basis = self.server.basis(tick);
        let rows_of = |tick| &self.sent.iter().find(|sent| sent.0 == tick).unwrap().1;
        let mut body = Vec::new();
        self.encoder.encode(&basis.with_rows(rows_of), tick, rows, &mut body);
        let mut owner = Vec::new();
        pack(&schema().owner, &[i32::from(tick.0.is_multiple_of(3))], &mut owner).unwrap();
        let (digest, processed) = (Some(digest), InputSeq(0));
        let snapshot = Snapshot { tick, digest, processed, owner: &owner, body: &body };
        let mut frame = Vec::new();
        self.server.write_snapshot(&snapshot, Micros(0), &mut frame);
        self.sent.push((tick, rows.clone()));
        match self.client.handle_frame(&frame, Micros(0)) {
            Ok(ClientEvent::Snapshot { tick: applied, digest }) if applied == tick => digest,
            other => panic!("{other:?} for {tick:?}"),
        }
    }
}

fn rows(tick: u32) -> Rows {
    let mut rows = Rows::default();
    rows.push(EntityId(3), 0, &[tick.cast_signed() * 3 % 100]);
    rows
}

pub(super) fn welcome() -> Welcome {
    testing::welcome(schema(), TickRate::new(30).unwrap())
}

fn schema() -> Schema {
    Schema::new("test")
        .kind("thing", [Field::new("x", 1.0, 0, 1000)])
        .owner("secret", 0, 1)
        .input("key", 0, 3)
        .event("bang", [])
}
