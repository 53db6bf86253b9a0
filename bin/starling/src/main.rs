//! The `starling` command: parses flags and calls `starling-node`.

fn main() {}
