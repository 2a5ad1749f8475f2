//! The workload on the real server: its flags, sockets, ticks and codec, with other rules.

fn main() -> std::process::ExitCode {
    tickwire_server::main::<tickwire_benches::workload::Workload>()
}
