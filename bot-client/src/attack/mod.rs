//! Attackers: bots that don't play, but attack the server in every [`Way`], or never read. They
//! ignore snapshots; a run of them checks that the server survives, and measures its CPU and
//! memory.

mod ways;

use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
    time::Duration,
};

use tickwire_shared::dice::Dice;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::{Builder, LocalOptions},
    task::spawn_local,
    time::{Instant, sleep, timeout},
};

use crate::{
    dial::Dialer,
    process::{Process, allow_sockets},
    report::Costs,
    scenario::Scenario,
    swarm::Options,
};
use ways::Way;

/// Pause of an attacker between two attacks: 200 attackers make up to 800 attacks a second.
const REST: Duration = Duration::from_millis(250);
/// How often a client that never reads sends a ping, so that it is not idle.
const ALIVE_INTERVAL: Duration = Duration::from_millis(200);
/// How often the server's memory is sampled.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// How long the final health check may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// The result of a run of attackers.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) attacks: u64,
    /// The longest time for which the server kept a client that never reads.
    pub(crate) kept_max: Option<Duration>,
    /// The server's memory is its peak.
    pub(crate) costs: Costs,
    pub(crate) failure: Option<String>,
}

/// The server under attack.
#[derive(Debug)]
struct Victim {
    dialer: Dialer,
    authority: String,
}

#[derive(Debug, Default)]
struct Counts {
    attacks: Cell<u64>,
    /// How long the server kept each client that never reads.
    kept: RefCell<Vec<Duration>>,
}

/// Attacks for the duration in the options.
pub(crate) fn run(options: &Options, dialer: Dialer) -> io::Result<Outcome> {
    // Some attacks take two sockets or more.
    allow_sockets(4 * options.bots)?;
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    runtime.block_on(attack(options, dialer))
}

async fn attack(options: &Options, dialer: Dialer) -> io::Result<Outcome> {
    let victim = Rc::new(Victim { dialer, authority: options.target.authority().into() });
    let counts = Rc::new(Counts::default());
    let own = Process::this();
    let server = options.server_pid.map(Process::with_id);
    let server_before = server.map(Process::cpu_time).transpose()?;
    let (own_before, start) = (own.cpu_time()?, Instant::now());
    for number in 0..options.bots {
        let (victim, counts) = (Rc::clone(&victim), Rc::clone(&counts));
        let delay = options.ramp.mul_f64(number as f64 / options.bots as f64);
        let dice = Dice::new(options.seed.wrapping_add(number as u64));
        let scenario = options.scenario;
        spawn_local(async move {
            sleep(delay).await;
            if scenario == Scenario::SlowReader {
                never_read(&victim, dice, &counts).await;
            } else {
                attack_on(number, &victim, dice, &counts).await;
            }
        });
    }
    let mut rss_max = None;
    while start.elapsed() < options.duration {
        sleep(LOOK_INTERVAL).await;
        let rss = server.map(Process::rss_bytes).transpose().unwrap_or(None);
        rss_max = rss_max.max(rss);
    }
    let is_well = is_well(&victim).await;
    let kept = counts.kept.borrow();
    let unclosed = options.bots - kept.len();
    let failure = if !is_well {
        Some(String::from("the server does not answer any more"))
    } else if options.scenario == Scenario::SlowReader && unclosed > 0 {
        Some(format!(
            "{unclosed} bots that never read could not connect, or were not closed: by default the \
             server waits 35 s before it closes them, so --duration should be longer"
        ))
    } else {
        None
    };
    let server_cpu = server.and_then(|server| server.cpu_time().ok()).zip(server_before);
    Ok(Outcome {
        attacks: counts.attacks.get(),
        kept_max: kept.iter().max().copied(),
        costs: Costs {
            window: start.elapsed(),
            bot_cpu: own.cpu_time()? - own_before,
            server_cpu: server_cpu.map(|(after, before)| after - before),
            server_rss_bytes: rss_max,
        },
        failure,
    })
}

/// One attacker: makes one attack after the other, starting with a different one for each number.
async fn attack_on(number: usize, victim: &Victim, mut dice: Dice, counts: &Counts) {
    for way in Way::ALL.iter().cycle().skip(number % Way::ALL.len()) {
        // An error means that the server has defended itself.
        let _ = way.attack(victim, &mut dice).await;
        counts.attacks.set(counts.attacks.get() + 1);
        sleep(REST).await;
    }
}

/// Joins, and then sends pings but reads nothing, until the server closes the connection.
async fn never_read(victim: &Victim, mut dice: Dice, counts: &Counts) {
    let Ok(mut socket) = victim.upgrade("match=auto").await else { return };
    counts.attacks.set(counts.attacks.get() + 1);
    let start = Instant::now();
    let mut said = socket.write_all(&ways::hello(&mut dice, None)).await;
    while said.is_ok() {
        sleep(ALIVE_INTERVAL).await;
        said = socket.write_all(&ways::ping(&mut dice)).await;
    }
    counts.kept.borrow_mut().push(start.elapsed());
}

async fn is_well(victim: &Victim) -> bool {
    let ask = async {
        let mut socket = victim.dialer.dial().await?;
        let request = b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        socket.write_all(request).await?;
        let mut answer = [0; 12];
        socket.read_exact(&mut answer).await?;
        Ok::<_, io::Error>(answer.ends_with(b"200"))
    };
    matches!(timeout(ANSWER_TIMEOUT, ask).await, Ok(Ok(true)))
}
