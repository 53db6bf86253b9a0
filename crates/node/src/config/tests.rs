use super::*;
use std::fs;

/// The flags in force for a `config dump` with these flags, or the failure's words.
fn dump_with(file: Option<&str>, flags: &[&str]) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let mut args: Vec<OsString> = ["starling", "config", "dump"].map(Into::into).into();
    if let Some(text) = file {
        let path = folder.path().join("starling.toml");
        fs::write(&path, text).unwrap();
        args.extend(["--config".into(), path.into_os_string()]);
    }
    args.extend(flags.iter().map(Into::into));
    match parse(args).map_err(|failure| failure.to_string())? {
        Parsed::Run(_, matches) => Ok(dump(&matches)),
        Parsed::Say(message) => Err(message.to_string()),
    }
}

fn check(file: &str, flags: &[&str], expect: &[&str]) {
    let dumped = dump_with(Some(file), flags).unwrap();
    for line in expect {
        assert!(dumped.lines().any(|dumped| dumped == *line), "{line} from {file:?} and {flags:?}, got\n{dumped}");
    }
}

fn refuse(file: Option<&str>, flags: &[&str], why: &str) {
    let refused = dump_with(file, flags).unwrap_err();
    assert!(refused.contains(why), "{why}: {refused}");
}

#[test]
fn layers_lie_in_order() {
    check("", &[], &["\"http.port\" = 8545", "\"http\" = false", "\"http.api\" = [\"eth\", \"net\", \"web3\"]"]);
    check("\"http.port\" = 1", &[], &["\"http.port\" = 1"]);
    check("\"http.port\" = 1", &["--http.port", "2"], &["\"http.port\" = 2"]);
    check(
        "[http]\nport = 3\napi = [\"eth\", \"debug\"]",
        &[],
        &["\"http.port\" = 3", "\"http.api\" = [\"eth\", \"debug\"]"],
    );
    check("http = true\n\"http.api\" = \"eth\"", &[], &["\"http\" = true", "\"http.api\" = [\"eth\"]"]);
    check("http = true", &["--http=false"], &["\"http\" = false"]);
    check("verbose = 2\nhistory = 7", &[], &["\"verbose\" = 2", "\"history\" = 7"]);
    check("bootnodes = \"\"", &["--maxpeers", "7"], &["\"bootnodes\" = [\"\"]", "\"maxpeers\" = 7"]);
    check("memory = \"1GiB\"", &["--override.osaka", "99"], &["\"memory\" = \"1GiB\"", "\"override.osaka\" = 99"]);
}

#[test]
fn a_dump_is_a_file_that_says_the_same() {
    let flags = ["--http", "--http.api=eth,debug", "--memory=512MiB", "-vv", "--override.osaka=5", "--datadir=/x y"];
    let dumped = dump_with(None, &flags).unwrap();
    assert_eq!(dump_with(Some(&dumped), &[]).unwrap(), dumped);
}

#[test]
fn what_is_wrong_is_said() {
    refuse(Some("\"http.prot\" = 1"), &[], "there is no flag --http.prot");
    refuse(Some("\"http.port\" = \"x\""), &[], "invalid value 'x' for '--http.port");
    refuse(Some("\"http.port\" = 2026-01-01"), &[], "http.port must be text, a number");
    refuse(Some("http.port = 1\nhttp = true"), &[], "is not TOML");
    refuse(Some("dashboard = true"), &[], "the dashboard is not available yet");
    refuse(None, &["--dashboard"], "--dashboard is given, and the dashboard is not available yet");
    refuse(None, &["--bootnodes", "enode://x"], "a public key of 128 hex digits");
    refuse(None, &["--nat", "upnp"], "not available yet");
    refuse(None, &["--netrestrict", "10/8"], "write addresses like");
    refuse(None, &["--http.api", "eth,miner"], "miner");
    refuse(None, &["--instance", "101"], "--instance");
    refuse(None, &["--memory", "lots"], "is no size");
    refuse(None, &["--config", "/nowhere/at.all"], "cannot read /nowhere/at.all");
}

#[test]
fn every_command_is_consistent() {
    command().debug_assert();
    let known = known_names(&command());
    for (flag, _) in unavailable::flags() {
        assert!(!known.contains(flag) || node_arg(&command(), flag).is_some_and(Arg::is_hide_set), "{flag} is there");
    }
}
