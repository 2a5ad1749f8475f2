//! What clients can write into the log. The only test in its process, since the log is global.

use tickwire_server::tickets::{TicketError, Tickets};

#[test]
fn a_ticket_is_one_line_of_the_log_and_the_first_a_warning() {
    // {"alg":"HS256\n2026-01-01 forged"}
    let head = "eyJhbGciOiJIUzI1NlxuMjAyNi0wMS0wMSBmb3JnZWQifQ";
    let (reader, writer) = std::io::pipe().unwrap();
    let log = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG);
    let log = log.with_writer(move || writer.try_clone().unwrap()).finish();
    tracing::subscriber::with_default(log, || {
        let tickets = Tickets::with_secret(b"an example secret of 32 bytes...").unwrap();
        for now in [0, 59, 60] {
            let checked = tickets.check(&format!("{head}.e30.AA"), now);
            assert_eq!(checked, Err(TicketError::Invalid));
        }
    });
    let told = std::io::read_to_string(reader).unwrap();
    let level = |line: &str| ["WARN", "DEBUG"].into_iter().find(|level| line.contains(level));
    let levels: Vec<_> = told.lines().map(level).collect();
    assert_eq!(levels, [Some("WARN"), Some("DEBUG"), Some("WARN")], "{told}");
    assert!(told.lines().all(|line| line.contains("forged")), "{told}");
}
