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

#[test]
fn a_folder_that_cannot_be_written_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let Some(chain) = find("rpc-compat") else { return };
    if rustix::process::geteuid().is_root() {
        eprintln!("skipped: the superuser may write into any folder");
        return;
    }
    let home = Home::new().unwrap_or_else(|error| panic!("{error}"));
    fs::create_dir(home.data()).expect("a folder");
    fs::set_permissions(home.data(), fs::Permissions::from_mode(0o555)).expect("permissions");
    refused(&home, "init", &[&chain.join("genesis.json")], &["data"]);
    fs::set_permissions(home.data(), fs::Permissions::from_mode(0o755)).expect("permissions");
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
