//! Roster, presence, chat and notices, as clients on real sockets receive them.

mod support;

use support::{Client, End, TestServer, frame};
use tickwire_shared::{
    arena::Arena,
    social::{CHAT_CHARS_MAX, ChatRefused, HISTORY_LINES, Player, Presence, Social},
};

#[test]
fn chat_reaches_all_in_order_with_names() {
    let server = TestServer::start::<Arena>(|_| {});
    let mut ada = join(&server, " A\u{7}da ");
    let mut nameless = join(&server, "\u{200B}");
    let mut watching = watch(&server);
    ada.chat("<b>hello</b>\u{1b}\n you");
    ada.chat("again");
    nameless.chat("hi");
    for client in [&mut ada, &mut nameless, &mut watching] {
        client.wait("three lines", |client| client.lines().len() == 3);
    }
    let of = |name: &str| {
        let lines = watching.lines();
        lines.into_iter().filter(|line| line.starts_with(name)).collect::<Vec<_>>()
    };
    assert_eq!(of("Ada"), ["Ada: <b>hello</b> you", "Ada: again"]);
    assert_eq!(of("player"), ["player 2: hi"]);
    assert_eq!(ada.lines(), watching.lines());
}

#[test]
fn too_much_chat_is_refused_and_the_client_stays() {
    let server = TestServer::start::<Arena>(|_| {});
    let mut ada = join(&server, "Ada");
    let mut watching = watch(&server);
    watching.chat("I see you");
    watching.wait("a refusal", |client| refusals(client) == [ChatRefused::NotSeated]);
    ada.chat(" \u{202E} ");
    ada.chat(&"x".repeat(CHAT_CHARS_MAX + 1));
    for n in 0..12 {
        ada.chat(&n.to_string());
    }
    ada.wait("all answers", |client| refusals(client).len() + client.lines().len() == 14);
    assert_eq!(refusals(&ada)[..2], [ChatRefused::Empty, ChatRefused::TooLong]);
    assert!(refusals(&ada)[2..].iter().all(|refused| {
        matches!(refused, ChatRefused::TooFast { wait } if (1..1_000_001).contains(&wait.0))
    }));
    assert_eq!(ada.lines()[..5], ["Ada: 0", "Ada: 1", "Ada: 2", "Ada: 3", "Ada: 4"]);
    assert_eq!(ada.end, None);
}

#[test]
fn a_resumed_client_gets_the_roster_only_if_it_has_changed() {
    let server = TestServer::start::<Arena>(|_| {});
    let (mut ada, mut bob) = (join(&server, "Ada"), join(&server, "Bob"));
    ada.wait("Bob", |client| !presences(client).is_empty());
    bob.wait_snapshots(2);
    ada.wait_snapshots(2);
    let link = std::mem::take(&mut ada.link);
    drop(ada);
    let mut back = server.take_up(link);
    back.wait_snapshots(2);
    assert_eq!(roster(&back), [], "nobody but Ada herself was away");
    let link = std::mem::take(&mut back.link);
    drop(back);
    bob.chat("she is gone");
    bob.wait("the line", |client| !client.lines().is_empty());
    let mut again = server.take_up(link);
    again.wait_snapshots(2);
    assert_eq!(roster(&again).len(), 2);
    assert_eq!(again.lines(), ["Bob: she is gone"]);
}

#[test]
fn presence_announces_join_loss_resume_and_leave() {
    let server = TestServer::start::<Arena>(|_| {});
    let mut watching = watch(&server);
    let ada = join(&server, "Ada");
    let token = ada.link.welcome().unwrap().resume;
    watching.wait("a player", |client| presences(client) == [Presence::Here]);
    drop(ada);
    watching.wait("an absence", |client| presences(client).ends_with(&[Presence::Away]));
    let mut second = join(&server, "Bob");
    let told = [("Ada", Presence::Away), ("Bob", Presence::Here)];
    second.wait("the roster", |client| !roster(client).is_empty());
    assert_eq!(roster(&second), told.map(|(name, presence)| (name.to_owned(), presence)));

    let mut back = Client::open(server.addr, "match=1&resume=1", "tickwire.v1");
    back.introduce("another name", Some(token));
    back.wait("the roster", |client| !roster(client).is_empty());
    assert_eq!(roster(&back)[0], (String::from("Ada"), Presence::Here), "the name is kept");
    back.send_raw(&frame(0x88, &1000_u16.to_be_bytes()));
    assert_eq!(back.wait_end(), End::Close(1000));
    watching.wait("a goodbye", |client| presences(client).ends_with(&[Presence::Gone]));
    let expected = [Presence::Here, Presence::Away, Presence::Here, Presence::Here, Presence::Gone];
    assert_eq!(presences(&watching), expected, "Ada twice, Bob once");
}

#[test]
fn newcomers_get_earlier_chat() {
    let server = TestServer::start::<Arena>(|_| {});
    let mut ada = join(&server, "Ada");
    ada.chat("first");
    ada.wait("its line", |client| client.lines() == ["Ada: first"]);
    for n in 0..HISTORY_LINES {
        let (status, _) = server.post("/v1/notices", &format!("{{\"text\": \"{n}\"}}"));
        assert_eq!(status, 201);
    }
    ada.wait("all notices", |client| client.lines().len() == 1 + HISTORY_LINES);
    let mut bob = join(&server, "Bob");
    bob.wait("the history", |client| client.lines().len() == HISTORY_LINES);
    assert_eq!(bob.lines(), ada.lines()[1..]);
    assert_eq!(bob.lines()[0], "! 0");
}

#[test]
fn a_notice_reaches_one_match_or_all() {
    let server = TestServer::start::<Arena>(|config| config.seats = 1);
    let mut players = [join(&server, "Ada"), join(&server, "Bob")];
    let (status, body) = server.post("/v1/notices", r#"{"match": 2, "text": "a\u0000 word"}"#);
    assert_eq!((status, &*body), (201, r#"{"match":2,"text":"a word"}"#));
    assert_eq!(server.post("/v1/notices", r#"{"text": "to all"}"#).0, 201);
    players[1].wait("both", |client| client.lines() == ["! a word", "! to all"]);
    players[0].wait("one", |client| client.lines() == ["! to all"]);

    assert_eq!(server.post("/v1/notices", r#"{"match": 9, "text": "x"}"#).0, 404);
    assert_eq!(server.post("/v1/notices", r#"{"text": "\u200b"}"#).0, 400);
    assert_eq!(server.post("/v1/notices", r#"{"txt": "x"}"#).0, 400);
    let from_elsewhere = "origin: https://evil.example\r\n";
    assert_eq!(server.post_with("/v1/notices", from_elsewhere, r#"{"text": "x"}"#).0, 403);
}

fn join(server: &TestServer, name: &str) -> Client {
    let mut client = server.connect();
    client.introduce(name, None);
    client.wait_welcome();
    client
}

fn watch(server: &TestServer) -> Client {
    let mut client = Client::open(server.addr, "role=spectator", "tickwire.v1");
    client.say_hello(None);
    client.wait_welcome();
    client
}

fn refusals(client: &Client) -> Vec<ChatRefused> {
    let refusal = |social: &Social| match social {
        Social::ChatRefused(refused) => Some(*refused),
        Social::Roster(_) | Social::Presence(_) | Social::Line(_) => None,
    };
    client.social.iter().filter_map(refusal).collect()
}

fn presences(client: &Client) -> Vec<Presence> {
    let presence = |social: &Social| match social {
        Social::Presence(player) => Some(player.presence),
        Social::Roster(_) | Social::Line(_) | Social::ChatRefused(_) => None,
    };
    client.social.iter().filter_map(presence).collect()
}

fn roster(client: &Client) -> Vec<(String, Presence)> {
    let player = |player: &Player| (player.name.clone(), player.presence);
    let roster = |social: &Social| match social {
        Social::Roster(players) => Some(players.iter().map(player).collect()),
        Social::Presence(_) | Social::Line(_) | Social::ChatRefused(_) => None,
    };
    client.social.iter().find_map(roster).unwrap_or_default()
}
