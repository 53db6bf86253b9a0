//! The command as users and scripts meet it: what it prints, where, and with which status it ends.

use starling_testkit::fixtures;
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

/// The head of the sample chain.
const HEAD: &str = "54 (0xd226371d0b1551adb03fb52b71f08e3e11247fe9b1af994768af8cdaa8e7dcd7)";
/// A node that takes longer to come up or go down is broken.
const PATIENCE: Duration = Duration::from_secs(20);

fn starling(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_starling"));
    command.args(args).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("STARLING_")) {
        command.env_remove(name);
    }
    command
}

/// Runs a command and checks its status; returns stdout and stderr.
fn run(args: &[&str], status: i32) -> (String, String) {
    let output = starling(args).output().unwrap();
    checked(args, output, status)
}

fn checked(args: &[&str], output: Output, status: i32) -> (String, String) {
    let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(status), "{args:?}\n{stdout}\n{stderr}");
    (stdout, stderr)
}

/// A command must fail with that status and, in one line, these words.
fn refuse(args: &[&str], status: i32, words: &[&str]) {
    let (stdout, stderr) = run(args, status);
    let line = stderr.lines().find(|line| line.starts_with("error: ")).unwrap_or_else(|| panic!("{args:?}: {stderr}"));
    for word in words {
        assert!(line.contains(word), "{args:?}: want {word:?} in {line:?}");
    }
    assert!(stdout.is_empty() || status == 1, "{args:?}: {stdout}");
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }
}

fn sample(name: &str) -> String {
    let path: PathBuf = fixtures::sample().join("rpc-compat").join(name);
    path.display().to_string()
}

/// A datadir that holds the sample chain.
fn imported(folder: &Folder) -> String {
    let datadir = folder.path("data");
    run(&["init", "--datadir", &datadir, &sample("genesis.json")], 0);
    let (stdout, _) = run(&["import", "--datadir", &datadir, &sample("chain.rlp")], 0);
    assert!(stdout.contains("imported 54 blocks") && stdout.contains(HEAD), "{stdout}");
    datadir
}

/// The sample genesis with one text replaced.
fn changed_genesis(folder: &Folder, from: &str, to: &str) -> String {
    let text = fs::read_to_string(sample("genesis.json")).unwrap();
    assert!(text.contains(from), "{from}");
    folder.write("changed.json", text.replace(from, to))
}

/// A running node, ended with the test.
struct Node(Child);

impl Node {
    fn start(args: &[&str], datadir: &str) -> Self {
        let node_json = Path::new(datadir).join("node.json");
        let child = starling(args).stderr(Stdio::null()).spawn().unwrap();
        let node = Self(child);
        let began = Instant::now();
        while !node_json.exists() {
            assert!(began.elapsed() < PATIENCE, "not ready");
            std::thread::sleep(Duration::from_millis(10));
        }
        node
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, signal).unwrap();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn init_is_repeatable_and_guards_what_is_there() {
    let folder = Folder::new();
    let datadir = folder.path("data");
    let args = ["init", "--datadir", &datadir, &sample("genesis.json")];
    assert!(run(&args, 0).0.contains("wrote genesis 0x44fd89d5"));
    assert!(run(&args, 0).0.contains("already holds genesis 0x44fd89d5"));
    let other = changed_genesis(&folder, "0x68697665636861696e", "0x68697665636861696f");
    let words = ["genesis hash", "cannot share a database", "removedb"];
    refuse(&["init", "--datadir", &datadir, &other], 1, &words);
    refuse(&["init", "--datadir", &datadir, "--chain", "mainnet"], 1, &words);
    refuse(&["init", "--datadir", &datadir], 2, &["no genesis is given"]);
    refuse(&["init", "--datadir", &datadir, &folder.path("nowhere.json")], 1, &["nowhere.json"]);
    let broken = folder.write("broken.json", "{\"config\": 7}");
    refuse(&["init", "--datadir", &datadir, &broken], 1, &["broken.json", "config"]);
}

#[test]
fn a_chain_goes_in_and_comes_out_byte_for_byte() {
    let folder = Folder::new();
    let datadir = imported(&folder);
    let (stdout, _) = run(&["import", "--datadir", &datadir, &sample("chain.rlp"), &sample("chain.rlp")], 0);
    assert!(stdout.contains("imported 0 blocks") && stdout.contains("108 known already"), "{stdout}");
    assert!(run(&["db", "stats", "--datadir", &datadir], 0).0.starts_with(&format!("head {HEAD}")));
    assert!(run(&["db", "verify", "--datadir", &datadir], 0).0.contains("sound: 55 blocks"));

    let copy = folder.path("copy.rlp");
    run(&["export", "--datadir", &datadir, &copy], 0);
    assert!(fs::read(&copy).unwrap() == fs::read(sample("chain.rlp")).unwrap());
    let output = starling(&["export", "--datadir", &datadir, "-", "2", "3"]).output().unwrap();
    assert!(fs::read(&copy).unwrap().windows(output.stdout.len()).any(|part| part == output.stdout));
    refuse(&["export", "--datadir", &datadir, &copy, "1", "55"], 2, &["block 55 is above the head, block 54"]);
    refuse(&["export", "--datadir", &datadir, &copy, "3", "2"], 2, &["no blocks from 3 to 2"]);
    let (dumped, _) = run(&["dump-genesis", "--datadir", &datadir], 0);
    assert_eq!(dumped.trim_end(), fs::read_to_string(sample("genesis.json")).unwrap().trim_end());
}

#[test]
fn era1_holds_what_was_before_the_merge() {
    let folder = Folder::new();
    let datadir = imported(&folder);
    let file = folder.path("sample.era1");
    let (stdout, _) = run(&["export", "--datadir", &datadir, &file], 0);
    assert!(stdout.contains("blocks 0 to 35, accumulator 0x"), "{stdout}");
    refuse(&["export", "--datadir", &datadir, &file, "1", "35"], 2, &["multiple of 8192, not with block 1"]);
    refuse(&["export", "--datadir", &datadir, &file, "0", "54"], 2, &["up to block 35"]);
    let misnamed = folder.path("sample-00000-12345678.era1");
    refuse(&["export", "--datadir", &datadir, &misnamed], 1, &["does not fit its blocks", "sample-00000-"]);

    let second = folder.path("second");
    run(&["init", "--datadir", &second, &sample("genesis.json")], 0);
    let (stdout, _) = run(&["import", "--datadir", &second, &file, &sample("chain.rlp")], 0);
    assert!(stdout.contains("imported 54 blocks") && stdout.contains("36 known already"), "{stdout}");
    assert!(stdout.contains(HEAD), "{stdout}");
}

#[test]
fn the_first_bad_block_ends_an_import_and_keeps_what_came_before() {
    let folder = Folder::new();
    let datadir = folder.path("data");
    run(&["init", "--datadir", &datadir, &sample("genesis.json")], 0);
    let mut chain = fs::read(sample("chain.rlp")).unwrap();
    // the last transaction of the chain: its block's root no longer fits
    let last = chain.len() - 400;
    chain[last] ^= 1;
    let bad = folder.write("bad.rlp", &chain);
    refuse(&["import", "--datadir", &datadir, &bad], 1, &["bad.rlp, byte"]);
    assert!(run(&["db", "stats", "--datadir", &datadir], 0).0.starts_with("head 53 "));

    let cut = folder.write("cut.rlp", &fs::read(sample("chain.rlp")).unwrap()[..2000]);
    refuse(&["import", "--datadir", &datadir, &cut], 1, &["cut.rlp, byte", "the file ends after"]);
    refuse(&["import", "--datadir", &datadir, &folder.path("nowhere.rlp")], 1, &["nowhere.rlp"]);

    let mut import =
        starling(&["import", "--datadir", &datadir, "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    import.stdin.take().unwrap().write_all(&fs::read(sample("chain.rlp")).unwrap()).unwrap();
    let (stdout, _) = checked(&["import", "-"], import.wait_with_output().unwrap(), 0);
    assert!(stdout.contains("imported 1 blocks") && stdout.contains(HEAD), "{stdout}");
}

#[test]
fn forks_ahead_may_move_and_forks_behind_name_the_rewind() {
    let folder = Folder::new();
    let datadir = imported(&folder);
    let moved = changed_genesis(&folder, "\"bpo2Time\": 540", "\"bpo2Time\": 530");
    refuse(
        &["init", "--datadir", &datadir, &moved],
        1,
        &["bpo2", &format!("run: starling rewind --datadir {datadir} ")],
    );
    run(&["rewind", "--datadir", &datadir, "40"], 0);
    assert!(run(&["init", "--datadir", &datadir, &moved], 0).0.contains("already holds"));
    refuse(&["rewind", "--datadir", &datadir, "41"], 2, &["block 41 is above the head, 40"]);
}

#[test]
fn one_process_at_a_time_and_a_clean_end() {
    let folder = Folder::new();
    let datadir = imported(&folder);
    let args = [
        "node",
        "--datadir",
        &datadir,
        "--http",
        "--http.port",
        "0",
        "--authrpc.port",
        "0",
        "--addr",
        "127.0.0.1",
        "--port",
        "0",
        "--nodiscover",
    ];
    let mut node = Node::start(&args, &datadir);
    let holder = format!("in use by process {}", node.0.id());
    refuse(&["import", "--datadir", &datadir, &sample("chain.rlp")], 1, &[&holder, "another --datadir"]);
    assert!(run(&["db", "stats", "--datadir", &datadir], 0).0.starts_with(&format!("head {HEAD}")));

    let (number, _) = run(&["attach", "--datadir", &datadir, "eth_blockNumber"], 0);
    assert_eq!(number.trim(), "\"0x36\"");
    let text = fs::read_to_string(Path::new(&datadir).join("node.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let url = json["http"].as_str().unwrap();
    assert_eq!(run(&["attach", "--url", url, "eth_chainId"], 0).0.trim(), "\"0xc72dd9d5e883e\"");
    refuse(&["attach", "--url", url, "eth_nothing"], 1, &["eth_nothing: error -32601"]);
    assert_eq!(json["pid"], node.0.id());
    assert!(json["ws"].is_null() && json["engine"].is_string());

    let began = Instant::now();
    node.signal(rustix::process::Signal::TERM);
    assert_eq!(node.0.wait().unwrap().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(!Path::new(&datadir).join("node.json").exists());
    refuse(&["attach", "--datadir", &datadir, "eth_blockNumber"], 1, &["no node answers"]);

    let node = Node::start(&args, &datadir);
    node.signal(rustix::process::Signal::KILL);
    drop(node);
    fs::remove_file(Path::new(&datadir).join("node.json")).unwrap();
    let _again = Node::start(&args, &datadir);
    assert_eq!(run(&["attach", "--datadir", &datadir, "eth_blockNumber"], 0).0.trim(), "\"0x36\"");
}

#[test]
fn wrong_usage_is_status_two() {
    let usage = |args: &[&str], word: &str| {
        let (_, stderr) = run(args, 2);
        assert!(stderr.contains(word), "{args:?}: {stderr}");
    };
    usage(&["frobnicate"], "unrecognized subcommand");
    usage(&["account", "new"], "--password <FILE>");
    usage(&["import"], "FILE");
    usage(&["node", "--http.port", "70000"], "70000");
    usage(&["node", "--dashboard"], "the dashboard is not available yet");
    usage(
        &["node", "--dev", "--http", "--http.corsdomain", "*"],
        "--http.corsdomain lets others than this machine ask",
    );
    usage(&["node", "--chain", "nonet"], "there is no network 'nonet'");
    usage(&["export", "--datadir", "/nowhere", "x.rlp", "1"], "LAST");
    let output = starling(&["config", "dump"]).env("STARLING_DASHBOARD_PORT", "3").output().unwrap();
    let (_, stderr) = checked(&["STARLING_DASHBOARD_PORT"], output, 2);
    assert!(stderr.contains("STARLING_DASHBOARD_PORT is set"), "{stderr}");
    let output = starling(&["config", "dump"]).env("STARLING_HTTP_PORT", "7").output().unwrap();
    assert!(checked(&["STARLING_HTTP_PORT"], output, 0).0.contains("\"http.port\" = 7"));
    assert!(run(&["--help"], 0).0.contains("removedb"));
    assert!(run(&["node", "--help"], 0).0.contains("--authrpc.jwtsecret"));
    assert!(run(&["--version"], 0).0.starts_with("starling "));
}

#[test]
fn removedb_asks() {
    let folder = Folder::new();
    let datadir = imported(&folder);
    refuse(&["removedb", "--datadir", &datadir], 1, &["nothing was removed"]);
    assert!(run(&["db", "stats", "--datadir", &datadir], 0).0.starts_with("head 54"));
    assert!(run(&["removedb", "--datadir", &datadir, "--yes"], 0).0.contains("removed"));
    refuse(&["db", "stats", "--datadir", &datadir], 1, &["there is no chain in", "starling init"]);
}
