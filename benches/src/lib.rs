//! Code that the benchmark programs share.

pub mod arena;
pub mod controls;
pub mod cores;
pub mod output;
pub mod recording;
pub mod replay;
pub mod server;
pub mod window;
pub mod workload;
