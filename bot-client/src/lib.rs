//! A swarm of bots that plays on a Tickwire server, checks everything that it receives, and
//! measures latencies.
//!
//! One bot is one [`ClientLink`](tickwire_shared::link::ClientLink), one socket and one
//! [`Brain`]. All bots run on one thread and send on a fixed schedule, whatever they receive.
//!
//! ```no_run
//! use tickwire_bot_client::{Options, brain, run};
//!
//! let report = run(&Options::default(), brain::for_game)?;
//! println!("p99 {:?} µs", report.input_to_snapshot_us.map(|latency| latency.p99));
//! # Ok::<(), tickwire_bot_client::RunError>(())
//! ```

#[cfg(not(target_os = "linux"))]
compile_error!("bots run on Linux: build them in a container, WSL 2 or a virtual machine");

mod attack;
mod bot;
pub mod brain;
pub mod clock;
mod connection;
mod dial;
pub mod duration;
mod measure;
mod net;
mod outgoing;
pub mod process;
mod progress;
pub mod report;
mod scenario;
pub mod schedule;
mod swarm;
mod target;
mod tickets;

pub use brain::Brain;
pub use dial::{BadFingerprint, Fingerprint};
pub use report::Report;
pub use scenario::Scenario;
pub use swarm::{Options, Progress, RunError, run};
pub use target::Target;
pub use tickwire_shared::testing::Profile;
