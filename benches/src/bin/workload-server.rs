//! The workload on the real server: its flags, sockets, ticks, codec and allocator, with other rules.

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> std::process::ExitCode {
    tickwire_server::main::<tickwire_benches::workload::Workload>()
}
