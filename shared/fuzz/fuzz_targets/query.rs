//! Query strings of requests to join a match.
#![no_main]

use axum::http::Uri;
use libfuzzer_sys::fuzz_target;
use tickwire_server::http::PlayQuery;

fuzz_target!(|input: &[u8]| {
    let Ok(uri) = Uri::try_from(input) else { return };
    let _ = PlayQuery::parse(&uri);
});
