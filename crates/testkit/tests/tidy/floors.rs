//! Floors: each crate's own manifest says on which floor it lives, and it may import only lower ones.

use std::collections::BTreeMap;

use starling_testkit::fixtures::repository;
use toml::Table;

/// One of our crates, as its manifest describes it.
pub(crate) struct Crate {
    /// The folder, from the root.
    folder: String,
    /// The package name.
    name: String,
    floor: Option<i64>,
    description: String,
    /// Our own crates that it imports; dev-dependencies are not counted.
    imports: Vec<String>,
    manifest: Table,
}

const TABLE: (&str, &str) = ("<!-- floors: begin (generated) -->", "<!-- floors: end -->");
const DOCUMENT: &str = "docs/ARCHITECTURE.md";

/// Every crate of the workspace, by folder.
pub(crate) fn crates() -> Vec<Crate> {
    let mut folders = vec!["bin/starling".to_string()];
    for entry in std::fs::read_dir(repository().join("crates")).expect("the folder `crates`") {
        folders.push(format!("crates/{}", entry.expect("a readable folder").file_name().to_string_lossy()));
    }
    folders.retain(|folder| repository().join(folder).join("Cargo.toml").is_file());
    folders.sort();
    folders.into_iter().map(read).collect()
}

fn read(folder: String) -> Crate {
    let path = repository().join(&folder).join("Cargo.toml");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let manifest: Table = text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let package = manifest["package"].as_table().expect("a [package] table");
    let imported = ["dependencies", "build-dependencies"]
        .iter()
        .filter_map(|section| manifest.get(*section)?.as_table())
        .flat_map(|table| table.keys().filter(|name| name.starts_with("starling-")).cloned())
        .collect();
    let text = |key: &str| package.get(key).and_then(|value| value.as_str()).unwrap_or_default().to_string();
    Crate {
        name: text("name"),
        description: text("description"),
        floor: package.get("metadata").and_then(|value| value.get("starling")?.get("floor")?.as_integer()),
        imports: imported,
        folder,
        manifest,
    }
}

/// Imports that do not go down.
pub(crate) fn climbing(crates: &[Crate]) -> Vec<String> {
    let floors: BTreeMap<&str, i64> =
        crates.iter().filter_map(|krate| Some((krate.name.as_str(), krate.floor?))).collect();
    let mut broken = Vec::new();
    for krate in crates {
        let Some(floor) = krate.floor else {
            broken.push(format!("{}/Cargo.toml names no floor in [package.metadata.starling]", krate.folder));
            continue;
        };
        for import in &krate.imports {
            match floors.get(import.as_str()) {
                Some(lower) if *lower < floor => {}
                Some(other) => broken.push(format!("{} (floor {floor}) imports {import} (floor {other})", krate.name)),
                None => broken.push(format!("{} imports {import}, which has no floor", krate.name)),
            }
        }
    }
    broken
}

/// Manifests that do not take lints, edition and licence from the workspace, or are named unlike their folder.
pub(crate) fn loose_manifests(crates: &[Crate]) -> Vec<String> {
    let mut broken = Vec::new();
    for krate in crates {
        let inherits =
            |table: Option<&toml::Value>| table.and_then(|value| value.get("workspace")?.as_bool()).unwrap_or_default();
        if !inherits(krate.manifest.get("lints")) {
            broken.push(format!("{}/Cargo.toml: [lints] workspace = true is missing", krate.folder));
        }
        for key in ["version", "edition", "rust-version", "license", "publish"] {
            if !inherits(krate.manifest["package"].get(key)) {
                broken.push(format!("{}/Cargo.toml: {key}.workspace = true is missing", krate.folder));
            }
        }
        let folder = krate.folder.rsplit('/').next().unwrap_or_default();
        if krate.name != folder && krate.name != format!("starling-{folder}") {
            broken.push(format!("{}/Cargo.toml: the package is called {}", krate.folder, krate.name));
        }
        if krate.description.is_empty() {
            broken.push(format!("{}/Cargo.toml: no description", krate.folder));
        }
    }
    broken
}

/// Holds the table in the document to the manifests; rewrites it when `STARLING_UPDATE=1`.
pub(crate) fn compare_table(crates: &[Crate]) {
    let path = repository().join(DOCUMENT);
    let document = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{DOCUMENT}: {error}"));
    let (before, rest) = document.split_once(TABLE.0).unwrap_or_else(|| panic!("{DOCUMENT} lacks {}", TABLE.0));
    let (_, after) = rest.split_once(TABLE.1).unwrap_or_else(|| panic!("{DOCUMENT} lacks {}", TABLE.1));
    let fresh = format!("{before}{}\n{}{}{after}", TABLE.0, table(crates), TABLE.1);
    if std::env::var_os("STARLING_UPDATE").is_some_and(|value| value == "1") {
        std::fs::write(&path, fresh).unwrap_or_else(|error| panic!("{DOCUMENT}: {error}"));
    } else {
        assert!(
            document == fresh,
            "the table of floors in {DOCUMENT} is not what the manifests say; to rewrite it:\n  \
             STARLING_UPDATE=1 cargo test -p starling-testkit --test tidy architecture\n\nit should read:\n{}",
            table(crates)
        );
    }
}

fn table(crates: &[Crate]) -> String {
    let mut sorted: Vec<&Crate> = crates.iter().collect();
    sorted.sort_by_key(|krate| (std::cmp::Reverse(krate.floor), &krate.folder));
    let mut text = String::from("\n| floor | folder | what it is | imports |\n|---|---|---|---|\n");
    for krate in sorted {
        let mut imports: Vec<&str> = krate.imports.iter().map(|name| name.trim_start_matches("starling-")).collect();
        imports.sort_unstable();
        let floor = krate.floor.unwrap_or_default();
        let imports = if imports.is_empty() { "–".to_string() } else { imports.join(", ") };
        text += &format!("| {floor} | `{}` | {} | {imports} |\n", krate.folder, krate.description);
    }
    text + "\n"
}
