//! The server with the reference game.

fn main() -> std::process::ExitCode {
    tickwire_server::main::<tickwire_shared::arena::Arena>()
}
