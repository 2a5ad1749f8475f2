//! What clients can write into the log. The only test in its process, since the log is global.

use tickwire_server::tickets::{TicketError, Tickets};

#[test]
fn a_ticket_is_one_line_of_the_log() {
    // {"alg":"HS256\n2026-01-01 forged"}
    let head = "eyJhbGciOiJIUzI1NlxuMjAyNi0wMS0wMSBmb3JnZWQifQ";
    let (reader, writer) = std::io::pipe().unwrap();
    let log = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG);
    let log = log.with_writer(move || writer.try_clone().unwrap()).finish();
    tracing::subscriber::with_default(log, || {
        let tickets = Tickets::with_secret(b"an example secret of 32 bytes...").unwrap();
        assert_eq!(tickets.check(&format!("{head}.e30.AA"), 0), Err(TicketError::Invalid));
    });
    let told = std::io::read_to_string(reader).unwrap();
    assert!(told.contains("forged") && told.lines().count() == 1, "{told}");
}
