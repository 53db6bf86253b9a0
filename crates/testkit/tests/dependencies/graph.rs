//! The resolved dependencies: `cargo tree` for this platform, and `Cargo.lock` for all of them.
//!
//! `cargo metadata` would be easier to read, but its graph also holds optional crates that are only named by a feature
//! of the form `crate?/feature`; `cargo tree` follows the features as a build does.

use std::collections::BTreeSet;
use std::process::Command;

use semver::Version;
use serde::Deserialize;
use starling_testkit::fixtures::repository;

/// Which packages are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Linked into the `starling` program, or a macro that wrote a part of it.
    Linked,
    /// All that a build of the workspace and its tests compiles.
    Built,
}

/// One package of the graph.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: Version,
    /// An SPDX expression; empty when the crate names none.
    pub(crate) license: String,
}

/// The packages within reach on this platform, from the lock as it is.
pub(crate) fn packages(reach: Reach) -> BTreeSet<Package> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["tree", "--locked", "--prefix", "none", "--format", "{p}|{l}"]).current_dir(repository());
    match reach {
        Reach::Linked => command.args(["--package", "starling", "--edges", "normal"]),
        Reach::Built => command.args(["--workspace", "--edges", "normal,build,dev"]),
    };
    let output = command.output().expect("cargo runs");
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let packages: BTreeSet<Package> = text.lines().filter(|line| !line.is_empty()).map(parse).collect();
    assert!(packages.len() > 100, "only {} packages?", packages.len());
    packages
}

/// `NAME vVERSION (…)|LICENCE (*)`, where the star says that the package was listed before.
fn parse(line: &str) -> Package {
    let (package, license) = line.split_once('|').unwrap_or_else(|| panic!("cargo tree: {line}"));
    let mut words = package.split(' ');
    let (name, version) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    Package {
        name: name.to_string(),
        version: version.trim_start_matches('v').parse().unwrap_or_else(|error| panic!("{line}: {error}")),
        license: license.trim_end_matches(" (*)").to_string(),
    }
}

/// One package of the lock.
#[derive(Debug, Deserialize)]
pub(crate) struct Locked {
    pub(crate) name: String,
    pub(crate) version: Version,
    /// None for our own crates.
    pub(crate) source: Option<String>,
}

/// Every package that the lock names.
pub(crate) fn locked() -> Vec<Locked> {
    #[derive(Deserialize)]
    struct Lock {
        package: Vec<Locked>,
    }
    let text = std::fs::read_to_string(repository().join("Cargo.lock")).expect("Cargo.lock");
    toml::from_str::<Lock>(&text).expect("a lock that cargo wrote").package
}
