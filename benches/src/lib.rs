//! What the benchmark programs share.

pub mod cores;
pub mod output;
