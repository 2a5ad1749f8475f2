//! The server with the reference game.

use mimalloc::MiMalloc;

/// Returns freed memory to the system, for example after an attack.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> std::process::ExitCode {
    tickwire_server::main::<tickwire_shared::arena::Arena>()
}
