//! A server that ends hands its matches to the next one: they go on, with nothing lost.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::{
    env, fs,
    os::unix::{
        fs::{PermissionsExt, symlink},
        net::UnixListener,
        process::ExitStatusExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::{Resource, Rlimit, Signal, setrlimit};
use serde::{Deserialize, Serialize};
use support::{Client, End, HOUR, PATIENCE, TestServer, guarded_server, scratch, wait_for};
use tickwire_server::{
    Ended, Server, StartError,
    config::Config,
    tickets::{Grant, TicketRole, Tickets, unix_now},
};
use tickwire_shared::{
    arena::Arena,
    game::{Game, Input, MatchOptions, Step},
    ids::{EntityId, Seat, Tick},
    rows::Rows,
    schema::{Field, Schema},
    social::{Presence, Social},
    time::TickRate,
    wire::Welcome,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[test]
fn a_match_goes_on_with_its_players_inputs_events_and_chat() {
    let file = file("goes_on");
    let server = start::<Auction>(&file);
    let (mut ada, mut bob) = (join(&server, "Ada"), join(&server, "Bob"));
    ada.link.chat("one").unwrap();
    ada.send_chat();
    bob.wait("the line", |client| client.lines() == ["Ada: one"]);
    for bid in 1..=3 {
        ada.input(&[bid]);
        ada.wait("the bid", |client| row(client) == Some([bid, tick(client)]));
    }
    ada.wait("events", |client| client.events > 0);
    bob.wait("events", |client| client.events > 0);
    let (bobs_token, bob_was_told) = (welcome(&bob).resume, bob.newest_event.unwrap());
    let bob = bob.link;
    ada.wait_snapshots(5);
    server.drain();
    assert_eq!(ada.wait_end(), End::Close(1012));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "it has tokens");

    let server = start::<Auction>(&file);
    let (before, before_tick, told) = (welcome(&ada), tick(&ada), ada.newest_event.unwrap());
    let mut ada = server.take_up(ada.link);
    ada.wait("the bid", |client| {
        tick(client) > before_tick && row(client) == Some([3, tick(client)])
    });
    let after = welcome(&ada);
    assert_eq!((after.session, after.seat), (before.session, before.seat));
    assert_eq!((after.seq.0, after.lines, ada.link.processed().0), (3, 1, 3));
    ada.wait("events", |client| client.events > 3);
    let since = ada.newest_event.unwrap().since(told);
    assert_eq!(ada.events, since.cast_unsigned(), "one for each tick since");
    ada.input(&[4]);
    ada.wait("another bid", |client| row(client) == Some([4, tick(client)]));
    let bobs = ada.social.iter().find_map(|social| match social {
        Social::Roster(players) => players.iter().find(|player| player.name == "Bob"),
        Social::Presence(_) | Social::Line(_) | Social::ChatRefused(_) => None,
    });
    assert_eq!(bobs.map(|bob| bob.presence), Some(Presence::Away));

    // Who was away before gets the events of both servers.
    let mut bob = server.take_up(bob);
    bob.wait("events", |client| client.events > 5);
    let since = bob.newest_event.unwrap().since(bob_was_told);
    assert_eq!(bob.events, since.cast_unsigned(), "one for each tick since");
    // Who has kept nothing but the token gets the rest again.
    let mut page = Client::open(server.addr, "match=1&resume=1", "tickwire.v1");
    page.say_hello(Some(bobs_token));
    page.wait("the line", |client| client.lines() == ["Ada: one"]);
    assert_eq!(welcome(&page).seat, Some(Seat(1)));
    assert!(server.get("/v1/matches/1").1.contains("\"players\":2"));
    let opened = open_match(&server);
    assert!(opened.contains("\"id\":2"), "ids go on: {opened}");
}

#[test]
fn after_a_crash_a_match_goes_on_from_a_few_seconds_before() {
    let (file, copy) = (file("crash"), file("crash_copy"));
    let server = start::<Auction>(&file);
    let mut ada = join(&server, "Ada");
    ada.input(&[1]);
    ada.wait("the save", |client| tick(client) > 100 && file.exists());
    fs::copy(&file, &copy).unwrap();
    ada.input(&[2]);
    ada.wait("a bid that will be lost", |client| row(client) == Some([2, tick(client)]));
    let (seat, before) = (welcome(&ada).seat, tick(&ada));
    assert!(open_match(&server).contains("\"id\":2,"), "a match that will be lost");
    drop(server);
    let server = start::<Auction>(&copy);
    let mut ada = server.take_up(ada.link);
    ada.wait("a later tick", |client| client.snapshots > 0 && tick(client) > before);
    assert_eq!(welcome(&ada).seat, seat);
    let opened = open_match(&server);
    assert!(!opened.contains("\"id\":2,"), "a ticket may name the lost one: {opened}");
    let ([highest, ticks], ran) = (row(&ada).unwrap(), ran(&ada));
    assert!(highest == 1 && ticks - ran > before - 6 * 30, "not older than six seconds");
    let first = tick(&ada) - ran;
    let mut told = Tick(first.cast_unsigned());
    for _ in 0..2 {
        ada.wait("events", |client| client.events > 3);
        let since = ada.newest_event.unwrap().since(told);
        assert_eq!(ada.events, since.cast_unsigned(), "one for each tick since");
        told = ada.newest_event.unwrap();
        ada = server.take_up(ada.link);
    }
    ada.wait_snapshots(1);
    ada.input(&[3]);
    ada.wait("another bid", |client| row(client).is_some_and(|[highest, _]| highest == 3));
}

#[test]
fn matches_are_handed_on_again_and_spread_over_shards() {
    let file = file("again");
    let server = TestServer::start::<Auction>(|config| {
        (config.seats, config.shards, config.handover_file) = (1, 2, Some(file.clone()));
    });
    let mut clients: Vec<_> = (0..4).map(|n| join(&server, &n.to_string())).collect();
    clients.iter_mut().for_each(|client| client.wait_snapshots(1));
    server.drain();
    // Nobody comes back to this one.
    start::<Auction>(&file).drain();
    let server = TestServer::start::<Auction>(|config| {
        (config.shards, config.handover_file) = (2, Some(file.clone()));
        config.tick_rate = TickRate::new(60).unwrap();
    });
    let newcomer = welcome(&join(&server, "Eve"));
    assert_eq!((newcomer.session.0, newcomer.match_id.0), (5, 5));
    let (_, matches) = server.get("/v1/matches");
    let rates = ["\"tick_rate_hz\":30", "\"tick_rate_hz\":60"];
    assert_eq!(rates.map(|rate| matches.matches(rate).count()), [4, 1], "{matches}");
    for client in clients {
        let (id, before) = (welcome(&client).match_id.0, tick(&client));
        let query = format!("match={id}&resume=1");
        let mut again = Client::open(server.addr, &query, "tickwire.v1");
        again.say_hello(Some(welcome(&client).resume));
        again.wait("a snapshot", |client| row(client).is_some());
        assert!(tick(&again) > before && row(&again) == Some([0, tick(&again)]));
    }
    assert_eq!(server.metric("tickwire_matches"), 5.0);
}

#[test]
fn a_seat_that_nobody_comes_back_to_is_free_after_the_grace_period() {
    let file = file("grace");
    let start = |grace| {
        TestServer::start::<Auction>(|config| {
            (config.seats, config.handover_file) = (1, Some(file.clone()));
            config.resume_grace = grace;
        })
    };
    let server = start(HOUR);
    let away = join(&server, "Ada");
    server.drain();
    let server = start(HOUR);
    let mut other = Client::open(server.addr, "match=1", "tickwire.v1");
    assert_eq!(other.wait_end(), End::Close(4010), "its seat is kept");
    server.drain();
    let server = start(Duration::from_millis(500));
    server.wait_metric("tickwire_players", 0.0);
    let mut other = Client::open(server.addr, "match=1", "tickwire.v1");
    other.say_hello(None);
    other.wait_snapshots(1);
    let mut late = server.take_up(away.link);
    assert_eq!(late.wait_end(), End::Close(4012));
}

#[test]
fn what_cannot_go_on_is_gone_and_its_players_are_told() {
    let file = file("another_game");
    let server = start::<Auction>(&file);
    let ada = join(&server, "Ada");
    server.drain();
    // Another schema; then another state with the same one.
    let server = start::<Arena>(&file);
    assert_eq!(server.metric("tickwire_matches_unrestored_total"), 1.0);
    assert_eq!(server.take_up(ada.link).wait_end(), End::Close(4011));
    drop(server);
    let server = start::<Auction>(&file);
    let ada = join(&server, "Ada");
    server.drain();
    let server = start::<Changed>(&file);
    server.wait_metric("tickwire_matches_unrestored_total", 1.0);
    assert_eq!(server.metric("tickwire_matches_restored_total"), 0.0);
    assert_eq!(server.take_up(ada.link).wait_end(), End::Close(4011));
    server.drain();
    fs::write(&file, "not a handover").unwrap();
    let server = start::<Arena>(&file);
    assert_eq!(server.metric("tickwire_matches_unrestored_total"), 1.0);
    join(&server, "Ada").wait_snapshots(1);
}

#[test]
fn tickets_and_sessions_of_a_subject_still_count() {
    let file = file("tickets");
    let change = |config: &mut Config| {
        config.handover_file = Some(file.clone());
        config.limits.sessions_per_subject_max = 2;
    };
    let (server, tickets) = guarded_server("handover", change);
    let ticket = issue(&tickets, "u1");
    let enter = |server: &TestServer, ticket: &str| {
        let query = format!("match=auto&ticket={ticket}");
        let mut client = Client::open(server.addr, &query, "tickwire.v1");
        client.say_hello(None);
        client
    };
    enter(&server, &ticket).wait_welcome();
    server.drain();
    let (server, _) = guarded_server("handover", change);
    assert_eq!(enter(&server, &ticket).wait_end(), End::Close(4023));
    let mut second = enter(&server, &issue(&tickets, "u1"));
    second.wait_welcome();
    assert_eq!(enter(&server, &issue(&tickets, "u1")).wait_end(), End::Close(4024));
}

#[test]
fn matches_of_a_shard_that_hangs_go_on_as_they_were_saved() {
    let file = file("hangs");
    let server = TestServer::start::<Auction>(|config| {
        (config.seats, config.shards, config.handover_file) = (1, 2, Some(file.clone()));
    });
    let [mut ada, mut bob] = ["Ada", "Bob"].map(|name| join(&server, name));
    ada.input(&[7]);
    ada.wait("the save", |client| tick(client) > 100 && file.exists());
    let before = tick(&ada);
    ada.input(&[HANGS]);
    bob.wait_snapshots(60);
    server.drain();
    assert_eq!(ada.end, None, "its shard hangs");
    let server = start::<Auction>(&file);
    let mut ada = server.take_up(ada.link);
    ada.wait("the bid", |client| {
        tick(client) > before && row(client).is_some_and(|[highest, _]| highest == 7)
    });
    let mut again = Client::open(server.addr, "match=2&resume=1", "tickwire.v1");
    again.say_hello(Some(welcome(&bob).resume));
    again.wait("his match", |client| row(client).is_some_and(|row| row == [0, tick(client)]));
}

#[test]
fn matches_that_crash_the_server_once_restored_are_found_and_the_others_go_on() {
    let file = file("crashes");
    let bids = [5, CRASHES, 6, CRASHES];
    let clients = leave_matches(&file, bids);
    let crash = || {
        assert_eq!(signal_of_server(&file), Some(Signal::ABORT.as_raw()));
        assert!(!file.exists(), "nothing was saved");
    };
    crash();
    // In trials, of which each finds one.
    let mut found = [(); 2].map(|()| {
        crash();
        fs::read(file.with_added_extension("called")).unwrap()[0]
    });
    found.sort_unstable();
    assert_eq!(found, [2, 4]);
    check_others_go_on(&file, &clients, bids);
}

#[test]
fn a_match_that_hangs_once_restored_is_found_and_the_others_go_on() {
    let file = file("hangs_restored");
    let bids = [5, HANGS_RESTORED, 6, 7];
    let clients = leave_matches(&file, bids);
    for _ in 0..2 {
        let server = start_two_shards(&file);
        wait("its shard to hang", || server.get("/livez").0 == 503);
        server.drain();
        assert!(file.exists() && file.with_added_extension("trying").exists());
    }
    check_others_go_on(&file, &clients, bids);
}

/// Ends a server with matches of one player each, who have made these bids.
fn leave_matches(file: &Path, bids: [i32; 4]) -> [Client; 4] {
    let server = start_two_shards(file);
    let clients = bids.map(|bid| {
        let mut client = join(&server, "Ada");
        client.input(&[bid]);
        client.wait("the bid", |client| row(client).is_some_and(|[highest, _]| highest == bid));
        client
    });
    server.drain();
    clients
}

/// Matches with harmless bids go on, also later; the others are lost.
#[track_caller]
fn check_others_go_on(file: &Path, clients: &[Client; 4], bids: [i32; 4]) {
    let harmless = bids.iter().filter(|bid| **bid < HANGS_RESTORED).count();
    for lost in [bids.len() - harmless, 0] {
        let server = start_two_shards(file);
        server.wait_metric("tickwire_matches_restored_total", harmless as f64);
        assert_eq!(server.metric("tickwire_matches_unrestored_total"), lost as f64);
        assert_eq!(server.metric("tickwire_matches_failed_total"), 0.0);
        for (client, bid) in clients.iter().zip(bids) {
            let query = format!("match={}&resume=1", welcome(client).match_id.0);
            let mut again = Client::open(server.addr, &query, "tickwire.v1");
            again.say_hello(Some(welcome(client).resume));
            if bid < HANGS_RESTORED {
                again
                    .wait("the bid", |again| row(again).is_some_and(|[highest, _]| highest == bid));
            } else {
                assert_eq!(again.wait_end(), End::Close(4011));
            }
        }
        wait("a save", || file.exists());
        drop(server);
        let is_there = |suffix| file.with_added_extension(suffix).exists();
        assert_eq!(["taken", "trying", "called"].map(is_there), [true, false, false]);
    }
}

fn start_two_shards(file: &Path) -> TestServer {
    TestServer::start::<Auction>(|config| {
        (config.seats, config.shards, config.handover_file) = (1, 2, Some(file.into()));
    })
}

/// The signal by which a server with the file ends, in a process of its own.
fn signal_of_server(file: &Path) -> Option<i32> {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "a_process_of_its_own", "--nocapture"]).env(CRASHES_WITH, file);
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().signal()
}

/// The variable in which [`signal_of_server`] passes the file on.
const CRASHES_WITH: &str = "TICKWIRE_TEST_CRASHES_WITH";

#[test]
fn a_process_of_its_own() {
    let Some(file) = env::var_os(CRASHES_WITH) else { return };
    let limit = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, limit).unwrap();
    let _server = start_two_shards(Path::new(&file));
    std::thread::sleep(PATIENCE);
}

#[test]
fn after_a_kill_at_the_start_matches_are_tried_once_more_and_then_ids_go_on() {
    let file = file("kill_at_start");
    let change = |config: &mut Config| config.handover_file = Some(file.clone());
    let (server, tickets) = guarded_server("handover_kill", change);
    let ticket = issue(&tickets, "u1");
    let enter = |server: &TestServer, ticket: &str| {
        let mut client =
            Client::open(server.addr, &format!("match=auto&ticket={ticket}"), "tickwire.v1");
        client.say_hello(None);
        client
    };
    enter(&server, &ticket).wait_welcome();
    server.drain();
    // As after `kill -9` right after the start, and another start, on a full disk.
    let trying = file.with_added_extension("trying");
    fs::rename(&file, &trying).unwrap();
    fs::write(file.with_added_extension("called"), []).unwrap();
    let (server, _) = guarded_server("handover_kill", change);
    server.wait_metric("tickwire_matches_restored_total", 1.0);
    server.drain();
    // And once more, while no match is being called.
    fs::rename(&file, &trying).unwrap();
    fs::write(file.with_added_extension("called"), [0; 4]).unwrap();
    let (server, _) = guarded_server("handover_kill", change);
    assert_eq!(server.metric("tickwire_matches_unrestored_total"), 1.0);
    assert_eq!(enter(&server, &ticket).wait_end(), End::Close(4023), "it was used");
    let mut newcomer = enter(&server, &issue(&tickets, "u1"));
    newcomer.wait_welcome();
    assert_eq!((welcome(&newcomer).match_id.0, welcome(&newcomer).session.0), (2, 2));
    drop(server);
    // An operator may try them again.
    fs::rename(file.with_added_extension("taken"), &file).unwrap();
    let (server, _) = guarded_server("handover_kill", change);
    server.wait_metric("tickwire_matches", 1.0);
}

#[test]
fn a_match_that_admits_nobody_admits_nobody_before_its_first_tick() {
    let file = file("admits_nobody");
    let change = |config: &mut Config| {
        (config.tick_rate, config.handover_file) = (TickRate::new(1).unwrap(), Some(file.clone()));
    };
    let server = TestServer::start::<Auction>(change);
    let mut ada = join(&server, "Ada");
    ada.input(&[ADMITS_NOBODY]);
    ada.wait("the bid", |client| row(client).is_some_and(|[highest, _]| highest == ADMITS_NOBODY));
    server.drain();
    for _ in 0..3 {
        let server = TestServer::start::<Auction>(change);
        let mut other = Client::open(server.addr, "match=1", "tickwire.v1");
        assert_eq!(other.wait_end(), End::Close(4010));
    }
}

#[test]
fn a_save_that_fails_is_told_and_tried_again() {
    let folder = scratch("vanishing");
    fs::create_dir_all(&folder).unwrap();
    let server = start::<Auction>(&folder.join("handover"));
    assert_eq!(server.metric("tickwire_save_failing"), 0.0);
    let moved = scratch("vanished");
    let _ = fs::remove_dir_all(&moved);
    fs::rename(&folder, &moved).unwrap();
    server.wait_metric("tickwire_save_failing", 1.0);
    fs::rename(&moved, &folder).unwrap();
    server.wait_metric("tickwire_save_failing", 0.0);
    assert!(folder.join("handover").exists());
}

#[test]
fn the_file_is_only_its_owners_whatever_is_there_before() {
    let file = file("stale");
    fs::write(file.with_added_extension("new"), "of a server that was killed").unwrap();
    let shared = fs::Permissions::from_mode(0o666);
    fs::set_permissions(file.with_added_extension("new"), shared).unwrap();
    let server = start::<Auction>(&file);
    let mut ada = join(&server, "Ada");
    server.drain();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(ada.wait_end(), End::Close(1012));
}

#[tokio::test]
async fn a_folder_or_socket_is_no_file() {
    let folder = scratch("folder.handover");
    fs::create_dir_all(&folder).unwrap();
    let socket = folder.join("socket");
    let _ = fs::remove_file(&socket);
    let _listener = UnixListener::bind(&socket).unwrap();
    for path in [folder.clone(), folder.join(".."), PathBuf::new(), socket.clone()] {
        let error = Server::bind::<Auction>(config_with(&path)).await.unwrap_err().to_string();
        assert_eq!(error, format!("handover_file: {}: it is not a file", path.display()));
    }
    assert!(socket.exists(), "they stay where they are");
}

#[tokio::test]
async fn a_link_is_refused() {
    let (file, link) = (file("linked"), file("link"));
    symlink(&file, &link).unwrap();
    let error = Server::bind::<Auction>(config_with(&link)).await.unwrap_err().to_string();
    let why = "it is a symbolic link; name the file that it points to";
    assert_eq!(error, format!("handover_file: {}: {why}", link.display()));
}

#[tokio::test]
async fn a_server_that_cannot_take_the_file_does_not_start_and_leaves_it() {
    let file = file("untakeable");
    start::<Auction>(&file).drain();
    let left = fs::read(&file).unwrap();
    let trying = file.with_added_extension("trying");
    fs::create_dir(&trying).unwrap();
    let error = Server::bind::<Auction>(config_with(&file)).await.unwrap_err().to_string();
    fs::remove_dir(&trying).unwrap();
    let why = "Is a directory (os error 21)";
    assert_eq!(error, format!("handover_file: {}: {}: {why}", file.display(), trying.display()));
    assert_eq!(fs::read(&file).unwrap(), left);
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_refused_at_the_start() {
    let path = PathBuf::from("/nowhere/handover");
    let error = Server::bind::<Auction>(config_with(&path)).await.unwrap_err();
    assert!(matches!(error, StartError::Config(_)));
    let expected = "handover_file: /nowhere/handover: /nowhere/handover.lock: No such file or \
                    directory (os error 2)";
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn one_server_at_a_time_has_the_file() {
    let file = file("locked");
    let first = start::<Auction>(&file);
    let error = Server::bind::<Auction>(config_with(&file)).await.unwrap_err().to_string();
    let expected = format!("handover_file: {}: another server is running with it", file.display());
    assert_eq!(error, expected);
    drop(first);
    assert!(Server::bind::<Auction>(config_with(&file)).await.is_ok());
}

#[tokio::test]
async fn a_program_may_restart_its_server_while_clients_are_connected() {
    let file = file("embedded");
    let mut held = None;
    for _ in 0..3 {
        let server = Server::bind::<Auction>(config_with(&file)).await.unwrap();
        let addr = server.addr();
        // The one of the first server stays open.
        let client = async {
            let mut stream = TcpStream::connect(addr).await.unwrap();
            stream.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
            let read = stream.read(&mut [0; 12]).await.unwrap();
            assert_eq!(read, 12);
            held.get_or_insert(stream);
        };
        let ended = server.run(client, std::future::pending()).await;
        assert_eq!(ended, Ended::Drained);
    }
}

/// On a free port.
fn config_with(file: &Path) -> Config {
    Config {
        handover_file: Some(file.into()),
        listen: ([127, 0, 0, 1], 0).into(),
        ..Config::default()
    }
}

/// The file of one test, not there yet.
fn file(name: &str) -> PathBuf {
    let path = scratch(&format!("{name}.handover"));
    let _ = fs::remove_file(&path);
    for suffix in ["trying", "called", "taken"] {
        let _ = fs::remove_file(path.with_added_extension(suffix));
    }
    path
}

fn start<G: Game>(file: &Path) -> TestServer {
    TestServer::start::<G>(|config| config.handover_file = Some(file.into()))
}

fn join(server: &TestServer, name: &str) -> Client {
    let mut client = server.connect();
    client.introduce(name, None);
    client.wait_snapshots(1);
    client
}

/// Opens a match, as soon as a busy machine lets the server take one. Returns what it is.
#[track_caller]
fn open_match(server: &TestServer) -> String {
    wait_for("a shard that takes a match", || {
        let (status, opened) = server.post("/v1/matches", "");
        assert!([201, 503].contains(&status), "{opened}");
        (status == 201).then_some(opened)
    })
}

#[track_caller]
fn wait(what: &str, is_so: impl Fn() -> bool) {
    wait_for(what, || is_so().then_some(()));
}

fn issue(tickets: &Tickets, subject: &str) -> String {
    let grant = Grant { subject, role: TicketRole::Player, match_id: None, name: "Ada", data: &[] };
    tickets.issue(&grant, unix_now() + 60).unwrap()
}

fn welcome(client: &Client) -> Welcome {
    client.link.welcome().unwrap().clone()
}

fn tick(client: &Client) -> i32 {
    client.link.applied().unwrap().0.cast_signed()
}

fn row(client: &Client) -> Option<[i32; 2]> {
    client.link.rows()?.find(EntityId(0))?.values.try_into().ok()
}

/// How many ticks the game ran since it was made or restored.
fn ran(client: &Client) -> i32 {
    client.link.rows().unwrap().find(EntityId(1)).unwrap().values[1]
}

/// A bid with which a step does not return once the game was restored.
const HANGS_RESTORED: i32 = 97;
/// A bid with which a step ends the process once the game was restored.
const CRASHES: i32 = 98;
/// A bid that ends the admission.
const ADMITS_NOBODY: i32 = 99;
/// A bid with which a step does not return.
const HANGS: i32 = 100;

/// A game of bids, which counts its ticks, and rings in each.
#[derive(Serialize, Deserialize)]
struct Auction {
    highest: i32,
    ticks: i32,
    /// Ticks since it was made or restored.
    #[serde(skip)]
    ran: i32,
}

#[derive(Clone, Default)]
struct Bid(i32);

impl Input for Bid {
    fn from_values(values: &[i32]) -> Self {
        Self(values[0])
    }

    fn write_values(&self, values: &mut [i32]) {
        values[0] = self.0;
    }
}

impl Game for Auction {
    type Input = Bid;

    fn schema() -> Schema {
        let fields = ["highest", "ticks"].map(|name| Field::new(name, 1.0, 0, 1_000_000));
        Schema::new("auction").kind("lot", fields).input("bid", 0, 100).event("rings", [])
    }

    fn new(_: &MatchOptions) -> Self {
        Self { highest: 0, ticks: 0, ran: 0 }
    }

    fn join(&mut self, _: Seat) {}

    fn leave(&mut self, _: Seat) {}

    fn step(&mut self, step: &mut Step<'_, Bid>) {
        self.ticks += 1;
        self.ran += 1;
        match self.highest {
            CRASHES if self.ticks > self.ran => std::process::abort(),
            HANGS_RESTORED if self.ticks > self.ran => loop {
                std::thread::park();
            },
            _ => {}
        }
        while step.inputs.iter().any(|bid| bid.0 == HANGS) {
            std::thread::park();
        }
        self.highest = step.inputs.iter().fold(self.highest, |highest, bid| highest.max(bid.0));
        step.events.all(0, &[]);
    }

    fn admits(&self) -> bool {
        self.highest < ADMITS_NOBODY
    }

    fn write_rows(&self, rows: &mut Rows) {
        rows.push(EntityId(0), 0, &[self.highest, self.ticks]);
        rows.push(EntityId(1), 0, &[0, self.ran]);
    }
}

/// A later version of it, whose state has one value more.
#[derive(Serialize, Deserialize)]
struct Changed {
    auction: Auction,
}

impl Game for Changed {
    type Input = Bid;

    fn schema() -> Schema {
        Auction::schema()
    }

    fn new(options: &MatchOptions) -> Self {
        Self { auction: Auction::new(options) }
    }

    fn join(&mut self, _: Seat) {}

    fn leave(&mut self, _: Seat) {}

    fn step(&mut self, step: &mut Step<'_, Bid>) {
        self.auction.step(step);
    }

    fn write_rows(&self, rows: &mut Rows) {
        self.auction.write_rows(rows);
    }
}
