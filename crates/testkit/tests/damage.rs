//! What goes wrong around a node: each time a clear message, nothing lost, never a wrong answer.

use std::fs;
use std::path::{Path, PathBuf};

use starling_testkit::fixtures::find;
use starling_testkit::node::{Home, Node};

/// Blocks of the rpc-compat chain.
const BLOCKS: u64 = 54;

/// The chain's folder, and a data directory that holds all of it.
fn imported() -> Option<(PathBuf, Home)> {
    let chain = find("rpc-compat")?;
    let home = Home::with_genesis(&chain.join("genesis.json")).unwrap_or_else(|error| panic!("{error}"));
    import(&home, &chain.join("chain.rlp"));
    Some((chain, home))
}

fn import(home: &Home, file: &Path) {
    home.run("import", &[file]).unwrap_or_else(|error| panic!("{error}"));
}

/// Runs a command that must fail with a message that holds all the words.
fn refused(home: &Home, command: &str, arguments: &[&Path], words: &[&str]) {
    let said = home.run_failing(command, arguments).unwrap_or_else(|error| panic!("{error}"));
    for word in words {
        assert!(said.to_lowercase().contains(word), "`{command}` does not speak of `{word}`:\n{said}");
    }
    assert!(!said.contains("panicked"), "`{command}` panicked:\n{said}");
}

fn head(home: &Home) -> u64 {
    let node = Node::start(home, &[]).unwrap_or_else(|error| panic!("{error}"));
    let head = node.head().unwrap_or_else(|error| panic!("{error}"));
    node.stop().unwrap_or_else(|error| panic!("{error}"));
    head.0
}

/// The newest file of the journal, and what it holds.
fn journal(home: &Home) -> (PathBuf, Vec<u8>) {
    let mut files = Vec::new();
    collect(&home.data().join("db"), &mut files);
    files.retain(|path| path.to_string_lossy().contains("journal") && !path.to_string_lossy().ends_with(".lock"));
    files.sort();
    let newest = files.pop().expect("a database has a journal");
    let bytes = fs::read(&newest).expect("a readable journal");
    (newest, bytes)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable folder").flatten() {
        match entry.path() {
            path if path.is_dir() => collect(&path, files),
            path => files.push(path),
        }
    }
}

/// Bytes up to the last one that is not zero: a journal may be preallocated.
fn written(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

#[test]
fn a_second_process_is_refused() {
    let Some((chain, home)) = imported() else { return };
    let node = Node::start(&home, &[]).unwrap_or_else(|error| panic!("{error}"));
    refused(&home, "import", &[&chain.join("chain.rlp")], &["in use"]);
    assert_eq!(node.head().unwrap_or_else(|error| panic!("{error}")).0, BLOCKS, "the first one goes on");
    node.stop().unwrap_or_else(|error| panic!("{error}"));
    import(&home, &chain.join("chain.rlp"));
}

#[test]
fn another_genesis_is_refused() {
    let Some((_, home)) = imported() else { return };
    let Some(other) = find("devp2p-chain/geth-ethtest/genesis.json") else { return };
    refused(&home, "init", &[&other], &["genesis"]);
    assert_eq!(head(&home), BLOCKS);
}

#[test]
fn a_torn_tail_is_cut_and_the_rest_kept() {
    let Some((chain, home)) = imported() else { return };
    let (file, bytes) = journal(&home);
    fs::write(&file, &bytes[..written(&bytes) - 7]).expect("a writable journal");
    assert!(head(&home) <= BLOCKS);
    import(&home, &chain.join("chain.rlp"));
    assert_eq!(head(&home), BLOCKS);
    home.run("db verify", &[] as &[&str]).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn damage_in_the_middle_stops_the_start_and_changes_nothing() {
    let Some((_, home)) = imported() else { return };
    let (file, mut bytes) = journal(&home);
    let middle = written(&bytes) / 2;
    bytes[middle] ^= 0x10;
    fs::write(&file, &bytes).expect("a writable journal");
    refused(&home, "db verify", &[], &["journal"]);
    let started = Node::start(&home, &[]);
    assert!(started.is_err(), "a node started on a damaged journal");
    assert_eq!(fs::read(&file).expect("a readable journal"), bytes, "the damaged journal was changed");
    bytes[middle] ^= 0x10;
    fs::write(&file, &bytes).expect("a writable journal");
    assert_eq!(head(&home), BLOCKS, "mended, it holds everything");
}

#[test]
fn a_full_disk_stops_imports_and_loses_nothing() {
    let Some(chain) = find("rpc-compat") else { return };
    let home = Home::with_genesis(&chain.join("genesis.json")).unwrap_or_else(|error| panic!("{error}"));
    let file = chain.join("chain.rlp");
    refused(&home, "import", &["--datadir.minfreedisk".as_ref(), "1000TiB".as_ref(), &file], &["free", "disk"]);
    import(&home, &file);
    assert_eq!(head(&home), BLOCKS);
}

/// Somebody whose rights are those of no owner and no group.
const NOBODY: u32 = 65_534;

/// Runs a command that must fail, as somebody who is not the superuser: to that one, nothing is read-only. None if the
/// program lies where nobody else may run it.
fn said_to_nobody(home: &Home, command: &str, arguments: &[&Path]) -> Option<String> {
    use std::os::unix::process::CommandExt;
    let mut process = home.command(command).unwrap_or_else(|error| panic!("{error}"));
    process.args(arguments);
    if rustix::process::geteuid().is_root() {
        process.uid(NOBODY).gid(NOBODY);
    }
    let ended = match process.output() {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            eprintln!("skipped: only the superuser may run {}", process.get_program().display());
            return None;
        }
        ended => ended.expect("it runs"),
    };
    assert!(!ended.status.success(), "`{command}` wrote where it must not");
    Some(String::from_utf8_lossy(&ended.stderr).into_owned())
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("permissions");
}

/// Folders and files of a data directory, it and the folder around it among them.
fn everything(home: &Home) -> Vec<PathBuf> {
    let mut paths = vec![home.beside("."), home.data()];
    let mut at = 1;
    while let Some(path) = paths.get(at).cloned() {
        if path.is_dir() {
            paths.extend(fs::read_dir(path).expect("a readable folder").flatten().map(|entry| entry.path()));
        }
        at += 1;
    }
    paths
}

#[test]
fn a_folder_that_cannot_be_written_is_refused() {
    let Some(chain) = find("rpc-compat") else { return };
    let home = Home::new().unwrap_or_else(|error| panic!("{error}"));
    fs::create_dir(home.data()).expect("a folder");
    let genesis = home.beside("genesis.json");
    fs::copy(chain.join("genesis.json"), &genesis).expect("a genesis");
    set_mode(&genesis, 0o444);
    set_mode(&home.data(), 0o555);
    set_mode(&home.beside("."), 0o555);
    let said = said_to_nobody(&home, "init", &[&genesis]);
    set_mode(&home.data(), 0o755);
    set_mode(&home.beside("."), 0o755);
    let Some(said) = said else { return };
    assert!(said.contains("data") && said.to_lowercase().contains("permission denied"), "{said}");
    assert!(!said.contains("panicked") && fs::read_dir(home.data()).expect("a folder").next().is_none(), "{said}");
}

#[test]
fn a_database_that_cannot_be_written_is_refused_and_left_as_it_is() {
    let Some((chain, home)) = imported() else { return };
    let blocks = home.beside("chain.rlp");
    fs::copy(chain.join("chain.rlp"), &blocks).expect("a chain");
    set_mode(&blocks, 0o444);
    let paths = everything(&home);
    paths.iter().rev().for_each(|path| set_mode(path, if path.is_dir() { 0o555 } else { 0o444 }));
    let said = [("import", &[blocks.as_path()][..]), ("db stats", &[]), ("node", &[])]
        .map(|(command, arguments)| said_to_nobody(&home, command, arguments));
    paths.iter().for_each(|path| set_mode(path, if path.is_dir() { 0o755 } else { 0o644 }));
    for said in said.into_iter().flatten() {
        assert!(said.contains("data") && said.to_lowercase().contains("permission denied"), "{said}");
        assert!(!said.contains("panicked"), "{said}");
    }
    assert_eq!(head(&home), BLOCKS);
}

#[test]
fn another_format_version_is_named_with_what_to_do() {
    let Some((_, home)) = imported() else { return };
    let tables = home.data().join("db/mdbx.dat");
    let written = fs::read(&tables).expect("the tables");
    // the row of the version: its key, then the number
    let version_at = |at: usize| u32::from_le_bytes(std::array::from_fn(|byte| written[at + byte]));
    let keys = written.windows(10).enumerate().filter(|(_, bytes)| bytes.starts_with(b"format"));
    let places: Vec<usize> = keys.map(|(at, _)| at + 6).filter(|at| (1..1000).contains(&version_at(*at))).collect();
    assert!(!places.is_empty(), "no row of the format version");
    let current = version_at(places[0]);
    for (version, words) in [(current - 1, "an older program"), (current + 1, "a newer program")] {
        let mut bytes = written.clone();
        places.iter().for_each(|at| bytes[*at..at + 4].copy_from_slice(&version.to_le_bytes()));
        fs::write(&tables, &bytes).expect("writable tables");
        let version = format!("format version {version}");
        refused(&home, "db stats", &[], &[&version, words]);
        refused(&home, "node", &[], &[&version, words]);
    }
    fs::write(&tables, &written).expect("writable tables");
    assert_eq!(head(&home), BLOCKS);
}

#[test]
fn a_bad_block_is_named_and_all_before_it_kept() {
    let Some(chain) = find("rpc-compat") else { return };
    let home = Home::with_genesis(&chain.join("genesis.json")).unwrap_or_else(|error| panic!("{error}"));
    let mut bytes = fs::read(chain.join("chain.rlp")).expect("the chain");
    // Deep inside the file, past its first blocks and before its last.
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let broken = home.beside("broken.rlp");
    fs::write(&broken, &bytes).expect("a file");
    refused(&home, "import", &[&broken], &["block"]);
    let kept = head(&home);
    assert!((1..BLOCKS).contains(&kept), "{kept} blocks were kept");
    import(&home, &chain.join("chain.rlp"));
    assert_eq!(head(&home), BLOCKS);
}
