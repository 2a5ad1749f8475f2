//! The server with the reference game.

use mimalloc::MiMalloc;

/// Gives memory back when what needed it is over.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> std::process::ExitCode {
    tickwire_server::main::<tickwire_shared::arena::Arena>()
}
