//! The workload's rules on the real server, with its flags, sockets, ticks, codec and allocator.

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> std::process::ExitCode {
    tickwire_server::main::<tickwire_benches::workload::Workload>()
}
