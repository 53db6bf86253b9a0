//! The `starling` command: parses flags and calls `starling-node`.

fn main() -> std::process::ExitCode {
    starling_node::main()
}
