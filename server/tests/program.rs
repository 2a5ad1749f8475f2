//! The program itself, as an operator starts it.
#![allow(clippy::unwrap_used)]

mod support;

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::{SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, ChildStderr, Command, Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use support::{Client, connect_from, request, scratch, wait_for};

#[test]
fn a_file_with_a_mistake_ends_the_program_with_its_place() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mistaken.toml");
    fs::write(&file, "npcs = 0\nseets = 4\n").expect("there is room for a file");
    // The program could not start without the file either: no interface has this address.
    let ended = end_of(&["--listen", "192.0.2.1:1", "--config", file.to_str().unwrap()]);
    let said = [ended.stdout, ended.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert_eq!(ended.status.code(), Some(2), "{said}");
    assert!(said.contains("mistaken.toml: line 2: ") && said.contains("seets"), "{said}");
}

#[test]
fn a_missing_file_ends_the_program_with_the_setting_that_names_it() {
    for (flag, setting) in [
        ("--config", "config"),
        ("--ticket-secret-file", "ticket_secret_file"),
        ("--ticket-public-key-file", "ticket_public_key_file"),
    ] {
        let ended = end_of(&["--listen", "127.0.0.1:0", flag, "missing"]);
        assert_eq!(ended.status.code(), Some(2));
        let said = [ended.stdout, ended.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(said.contains(&format!("{setting}: missing: ")), "{said}");
    }
}

#[test]
fn a_taken_port_is_said_in_the_format_of_the_log() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let ended = end_of(&["--listen", &addr, "--log-format", "json"]);
    assert_eq!(ended.status.code(), Some(2));
    let said = String::from_utf8(ended.stderr).unwrap();
    let lines: Vec<serde_json::Value> =
        said.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let last = lines.last().unwrap();
    let message = last["fields"]["message"].as_str().unwrap();
    assert!(message.starts_with(&format!("can't listen on {addr}: ")), "{last}");
    assert_eq!(last["level"], "ERROR");
}

#[test]
fn a_cordoned_server_serves_on_but_is_not_ready() {
    let program = Program::start(&[]);
    let get = |path: &str| {
        let end = "HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        request(program.addr, &format!("GET {path} {end}"))
    };
    let wait_ready = |status: u16| while get("/readyz").0 != status {};
    assert_eq!(get("/readyz").0, 200);
    program.signal(Signal::USR1);
    wait_ready(503);
    assert!(get("/readyz").1.contains("cordoned"));
    assert!(get("/metrics").1.contains("\ntickwire_cordoned 1\n"));
    let join = "POST /v1/join HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    assert_eq!(request(program.addr, join).0, 200);
    program.signal(Signal::USR2);
    wait_ready(200);
    let mut program = program;
    program.signal(Signal::TERM);
    assert!(program.child.wait().unwrap().success());
}

#[test]
fn the_log_names_who_is_refused_and_a_proxy_that_is_not_listed() {
    let mut program = Program::start(&["--connections-per-address-max", "1"]);
    let held = connect_from(2, program.addr);
    let mut refused = connect_from(2, program.addr);
    refused.read_to_end(&mut Vec::new()).unwrap();
    let line = program.wait_line("a client is refused");
    assert!(line.contains("reason=\"address_full\" address=127.0.0.2"), "{line}");
    drop(held);
    let head = "GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n";
    request(program.addr, &format!("{head}x-forwarded-for: 203.0.113.5\r\n\r\n"));
    let line = program.wait_line("X-Forwarded-For");
    assert!(line.contains("address=127.0.0.1"), "{line}");
}

#[test]
fn debug_lines_tell_who_a_session_belongs_to() {
    let secret = scratch("told.secret");
    fs::write(&secret, "a secret of 32 bytes, and of more").unwrap();
    let secret = secret.to_str().unwrap();
    let debug = ["--log", "tickwire_server=debug"];
    let args = [&debug[..], &["--guests", "--ticket-secret-file", secret]].concat();
    let mut program = Program::start(&args);
    let join = "POST /v1/join HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let (_, joined) = request(program.addr, join);
    let joined: serde_json::Value = serde_json::from_str(&joined).unwrap();
    let query = format!("match=auto&ticket={}", joined["ticket"].as_str().unwrap());
    let mut client = Client::open(program.addr, &query, "tickwire.v1");
    client.introduce("Ada", None);
    let line = program.wait_line("admitted");
    for part in ["id=1 ", "match_id=1 ", "subject=\"guest-", "address=127.0.0.1"] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
    let line = program.wait_line("welcome");
    assert!(line.contains("id=1 ") && line.contains("name=\"Ada\""), "{line}");
}

#[test]
fn the_log_does_not_give_away_what_a_match_draws() {
    let mut program = Program::start(&[]);
    let _client = Client::open(program.addr, "match=auto", "tickwire.v1");
    let line = program.wait_line("match opened");
    assert!(line.contains("match_id=1") && !line.contains("seed"), "{line}");
}

#[test]
fn idle_cores_are_kept_awake_if_that_is_permitted() {
    let device = Path::new("/dev/cpu_dma_latency");
    if fs::OpenOptions::new().write(true).open(device).is_ok() {
        let program = Program::start(&["--keep-awake"]);
        let files = fs::read_dir(format!("/proc/{}/fd", program.child.id())).unwrap();
        let mut open = files.filter_map(|file| fs::read_link(file.unwrap().path()).ok());
        assert!(open.any(|file| file == device), "it is held open");
    } else {
        let ended = end_of(&["--listen", "127.0.0.1:0", "--keep-awake"]);
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(2));
        assert!(said.contains("keep_awake: /dev/cpu_dma_latency: "), "{said}");
    }
}

#[test]
fn a_match_of_a_killed_server_is_played_again_from_its_journal() {
    let folder = scratch("journals");
    let _ = fs::remove_dir_all(&folder);
    let folder = folder.to_str().unwrap();
    for (folder, why) in [(folder, "No such file"), ("/dev/null", "it is not a folder")] {
        let ended = end_of(&["--listen", "127.0.0.1:0", "--journal-folder", folder]);
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(2));
        assert!(said.contains(&format!("journal_folder: {folder}: {why}")), "{said}");
    }
    fs::create_dir(folder).unwrap();
    let program = Program::start(&["--journal-folder", folder, "--npcs", "3"]);
    let mut client = Client::open(program.addr, "match=auto", "tickwire.v1");
    client.introduce("Ada", None);
    client.wait_snapshots(1);
    for _ in 0..20 {
        client.input(&[127, 0, 20_000, 1]);
        client.wait_snapshots(5);
    }
    drop(program);
    let journal = fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    assert_eq!(fs::metadata(&journal).unwrap().permissions().mode() & 0o777, 0o600);
    let ended = end_of(&["--replay", journal.to_str().unwrap()]);
    let said = String::from_utf8(ended.stdout).unwrap();
    assert!(ended.status.success(), "{said}");
    assert!(said.starts_with("arena 1, match 1: 16 seats, 30 Hz\n"), "{said}");
    let same = said.lines().last().and_then(|line| line.strip_prefix("it went the same way: "));
    let digests = same.and_then(|same| same.strip_suffix(" digests of rows are equal"));
    assert!(digests.unwrap().parse::<u32>().unwrap() >= 2, "{said}");
}

#[test]
fn a_disk_that_hangs_does_not_keep_the_server_from_ending() {
    let folder = scratch("slow-journals");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).unwrap();
    let folder_flag = ["--journal-folder", folder.to_str().unwrap()];
    let mut program = Program::start(&[&folder_flag[..], &["--drain-timeout", "0"]].concat());
    let mut client = Client::open(program.addr, "match=auto", "tickwire.v1");
    client.introduce("Ada", None);
    client.wait_snapshots(1);
    let journal = wait_for("a journal", || fs::read_dir(&folder).unwrap().next());
    let journal = journal.unwrap().path();
    // Whoever opens a pipe that nobody reads waits, as for a disk that does not answer.
    let pipe = folder.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    fs::rename(&pipe, &journal).unwrap();
    program.signal(Signal::TERM);
    program.wait_line("journals end here: the disk is too slow");
    assert!(program.child.wait().unwrap().success());
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickwire-server"));
    command.args(args);
    command
}

fn end_of(args: &[&str]) -> Output {
    command(args).output().expect("the program runs")
}

/// The program, serving on a free port of 127.0.0.1.
struct Program {
    child: Child,
    addr: SocketAddr,
    log: BufReader<ChildStderr>,
}

impl Program {
    fn start(args: &[&str]) -> Self {
        let mut command = command(args);
        command.args(["--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let addr = line.trim().strip_prefix("listening on http://").unwrap().parse().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        Self { child, addr, log }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The next line of the log that contains `what`.
    fn wait_line(&mut self, what: &str) -> String {
        self.log.by_ref().lines().map(Result::unwrap).find(|line| line.contains(what)).unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
