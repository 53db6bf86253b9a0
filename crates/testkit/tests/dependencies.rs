//! What we build on: licences, sources, versions and advisories, read from the resolved graph and the lock.
//!
//! A test of our own rather than a tool: it needs no network, and a bare machine has what it needs. The advisories are
//! a snapshot of the RustSec database; `STARLING_ADVISORIES` names another one.

#[path = "dependencies/advisories.rs"]
mod advisories;
#[path = "dependencies/graph.rs"]
mod graph;
#[path = "dependencies/licences.rs"]
mod licences;

use std::collections::BTreeMap;

use graph::Reach;

/// How the lock file writes the only place that crates come from: the public registry, no repository and no other
/// registry.
fn is_public_registry(source: &str) -> bool {
    source.strip_prefix("registry+").is_some_and(|index| index.contains("/crates.io"))
}

/// Crates of which two versions would cost dearly: a second C library, runtime, EVM, or a second type of the same
/// name. A name that ends in `*` stands for all that begin so. k256 is not among them: records of nodes (enr, discv5)
/// bring a version of their own, in Rust alone, and nothing of it crosses a border.
const ONCE: &[&str] = &[
    "secp256k1",
    "secp256k1-sys",
    "c-kzg",
    "blst",
    "tokio",
    "hyper",
    "http",
    "jsonrpsee*",
    "revm*",
    "alloy-*",
    "signet-libmdbx",
    "signet-mdbx-sys",
    "rayon",
    "tracing",
    "serde",
    "serde_json",
    "zstd-sys",
];

#[test]
fn every_licence_is_allowed() {
    let broken: Vec<String> = graph::packages(Reach::Linked)
        .iter()
        .filter(|package| !licences::allowed(&package.license))
        .map(|package| format!("{} {}: {:?}", package.name, package.version, package.license))
        .collect();
    assert!(broken.is_empty(), "licences that are not on the list:\n  {}", broken.join("\n  "));
}

#[test]
fn every_crate_comes_from_the_registry() {
    let broken: Vec<String> = graph::locked()
        .into_iter()
        .filter_map(|package| Some((package.name, package.source?)))
        .filter(|(_, source)| !is_public_registry(source))
        .map(|(name, source)| format!("{name} from {source}"))
        .collect();
    assert!(broken.is_empty(), "sources other than crates.io:\n  {}", broken.join("\n  "));
}

#[test]
fn heavy_crates_are_linked_once() {
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in graph::packages(Reach::Linked) {
        let heavy = ONCE.iter().any(|name| match name.strip_suffix('*') {
            Some(beginning) => package.name.starts_with(beginning),
            None => package.name == *name,
        });
        if heavy {
            versions.entry(package.name).or_default().push(package.version.to_string());
        }
    }
    versions.retain(|_, versions| versions.len() > 1);
    assert!(versions.is_empty(), "linked more than once: {versions:?}");
}

#[test]
fn no_known_vulnerability_is_built() {
    let Some(snapshot) = advisories::Snapshot::find() else {
        eprintln!(
            "advisories: no snapshot, nothing was checked; STARLING_ADVISORIES names a rustsec-advisories.tar.zst"
        );
        return;
    };
    eprintln!("advisories: {} in the snapshot of {}", snapshot.advisories.len(), snapshot.date);
    assert!(snapshot.advisories.len() > 1000, "the snapshot is not whole");
    let built = graph::packages(Reach::Built);
    let mut broken = Vec::new();
    for package in &built {
        for advisory in snapshot.concerning(&package.name, &package.version) {
            let line = format!("{} {}: {} {}", package.name, package.version, advisory.id, advisory.title);
            match &advisory.informational {
                Some(notice) => eprintln!("advisories: {notice}: {line}"),
                None => broken.push(line),
            }
        }
    }
    for locked in graph::locked() {
        if !built.iter().any(|package| package.name == locked.name && package.version == locked.version) {
            for advisory in snapshot.concerning(&locked.name, &locked.version) {
                eprintln!("advisories: locked, not built here: {} {}: {}", locked.name, locked.version, advisory.id);
            }
        }
    }
    assert!(broken.is_empty(), "vulnerable:\n  {}", broken.join("\n  "));
}
