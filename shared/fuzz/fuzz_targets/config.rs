//! Configuration files.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tickwire_server::config::Config;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Err(error) = Config::from_toml(text) {
        assert!(!error.to_string().contains('\n'), "an error is one line");
    }
});
