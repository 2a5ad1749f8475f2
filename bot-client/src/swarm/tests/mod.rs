//! Swarms against a minimal server.

mod server;

use std::{net::SocketAddr, time::Duration};

use tickwire_shared::{ids::Tick, time::Micros};

use super::{Options, RunError, run};
use crate::{Profile, Report, Scenario, brain};
use server::{HZ, PLAY, Server, UNAVAILABLE, start, start_tls};

const BOTS: usize = 3;

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
fn a_proxys_error_is_no_missing_ticket() {
    let answer = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 18\r\n\r\n<html>Sorry</html>";
    let token = Some("good".into());
    let options = Options { operator_token: token, ..options(start(Server::Answers(answer))) };
    let refused = run(&options, brain::for_game).unwrap_err();
    assert!(refused.to_string().ends_with("the server answered 502 Bad Gateway"), "{refused}");
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
fn a_process_that_is_not_there_is_said_so_in_every_scenario() {
    for scenario in [Scenario::Steady, Scenario::Hostile] {
        let server_pid = Some(u32::MAX);
        let options = Options { scenario, server_pid, ..options(start(Server::Honest)) };
        let error = run(&options, brain::for_game).unwrap_err();
        assert!(matches!(error, RunError::Process { .. }), "{scenario:?}: {error}");
    }
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

#[track_caller]
fn play(server: Server) -> Result<Report, RunError> {
    run(&options(start(server)), brain::for_game)
}

fn options(address: SocketAddr) -> Options {
    Options {
        target: format!("ws://{address}{PLAY}?match=auto").parse().unwrap(),
        bots: BOTS,
        duration: Duration::from_millis(500),
        warm_up: Duration::from_millis(100),
        ramp: Duration::from_millis(30),
        ..Options::default()
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

/// All bots come back to a server like this.
#[track_caller]
fn check_return(server: Server) {
    let duration = Duration::from_secs(1);
    let report = run(&Options { duration, ..options(start(server)) }, brain::for_game).unwrap();
    assert_eq!(report.failure, None);
    assert!(report.resumed >= Some(BOTS), "{:?} came back", report.resumed);
}
