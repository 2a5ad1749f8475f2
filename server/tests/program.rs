//! The program itself, as an operator starts it.

use std::{fs, path::Path, process::Command};

#[test]
fn a_file_with_a_mistake_ends_the_program_with_its_place() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mistaken.toml");
    fs::write(&file, "npcs = 0\nseets = 4\n").expect("there is room for a file");
    // The program could not start without the file either: no interface has this address.
    let program = env!("CARGO_BIN_EXE_tickwire-server");
    let mut command = Command::new(program);
    command.args(["--listen", "192.0.2.1:1", "--config"]).arg(&file);
    let ended = command.output().expect("the program runs");
    let said = [ended.stdout, ended.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert_eq!(ended.status.code(), Some(2), "{said}");
    assert!(said.contains("mistaken.toml: line 2: ") && said.contains("seets"), "{said}");
}
