//! Foreign libraries that only one place may name, and the sockets that only the edges may open.

use crate::tree::File;

/// A library, as code names it, and where that is allowed.
const HOMES: &[(&str, &[&str])] = &[
    ("revm", &["crates/execution/src/evm"]),
    ("revm_inspectors", &["crates/execution/src/evm", "crates/execution/src/tracers"]),
    ("signet_libmdbx", &["crates/storage/src/mdbx"]),
    ("jsonrpsee", &["crates/rpc/"]),
    ("clap", &["crates/node/", "bin/starling/"]),
];

/// Crates whose code may open sockets; the tests' own client is one of them.
const EDGES: &[&str] = &["crates/network/", "crates/rpc/", "crates/node/", "crates/testkit/"];

const SOCKETS: &[&str] = &["TcpListener", "TcpStream", "UdpSocket", "UnixListener", "UnixStream", "UnixDatagram"];

/// Lines that name a library outside its home, in code or in a manifest.
pub(crate) fn strays(files: &[File]) -> Vec<String> {
    let mut broken = Vec::new();
    for (library, homes) in HOMES {
        let package = library.replace('_', "-");
        for file in files.iter().filter(|file| file.path.starts_with("crates/") || file.path.starts_with("bin/")) {
            let at_home = homes.iter().any(|home| file.path.starts_with(home));
            let owns_home = homes.iter().any(|home| home.starts_with(folder(&file.path)));
            for (number, line) in file.lines() {
                let stray = (file.is_rust() && !at_home && names_crate(line, library))
                    || (file.path.ends_with("Cargo.toml") && !owns_home && depends_on(line, &package));
                if stray {
                    broken.push(format!("{}:{number}: {library} belongs to {}", file.path, homes.join(" or ")));
                }
            }
        }
    }
    broken
}

/// `crates/NAME/` of a path.
fn folder(path: &str) -> &str {
    let mut slashes = path.match_indices('/').map(|(at, _)| at + 1);
    slashes.next();
    slashes.next().map_or(path, |end| &path[..end])
}

/// Whether a line of code speaks of the crate: `name::` or `use name`, not inside a longer word.
fn names_crate(line: &str, library: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    code.match_indices(library).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = &code[at + library.len()..];
        let whole = !before.is_some_and(|character| character.is_alphanumeric() || "_:\"".contains(character));
        whole && (after.starts_with("::") || (code.trim_start().starts_with("use ") && after.starts_with(';')))
    })
}

fn depends_on(line: &str, package: &str) -> bool {
    line.strip_prefix(package).is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
}

/// Lines that name a socket type where none may be opened.
pub(crate) fn sockets(files: &[File]) -> Vec<String> {
    let mut broken = Vec::new();
    for file in files.iter().filter(|file| file.is_rust() && file.path.starts_with("crates/")) {
        if EDGES.iter().any(|edge| file.path.starts_with(edge)) {
            continue;
        }
        for (number, line) in file.lines() {
            let code = line.split("//").next().unwrap_or_default();
            if let Some(socket) = SOCKETS.iter().find(|socket| code.contains(*socket)) {
                broken.push(format!("{}:{number}: {socket}", file.path));
            }
        }
    }
    broken
}

#[test]
fn a_crate_is_named_only_as_a_whole_word() {
    for (line, named) in [
        ("use lib::Context;", true),
        ("    lib::primitives::U256", true),
        ("use crate::lib::X;", false),
        ("let not_lib::X = 1;", false),
        ("// lib::X in a comment", false),
        ("lib2::X", false),
    ] {
        assert_eq!(names_crate(line, "lib"), named, "{line}");
    }
}
