//! The working tree as a list of text files.

use std::path::Path;

use starling_testkit::fixtures::repository;

/// One text file: its path from the root, with `/`, and what it holds.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    pub(crate) fn is_document(&self) -> bool {
        self.path.ends_with(".md") && (self.path.starts_with("docs/") || !self.path.contains('/'))
    }

    /// Lines with their numbers, from one.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

/// What the root may hold.
const ROOT: &[&str] = &[
    "README.md",
    "Makefile",
    "Cargo.toml",
    "Cargo.lock",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "rust-toolchain.toml",
    "bin",
    "crates",
    "genesis",
    "testnet",
    "docs",
];

/// History, and other people's data: neither is ours to hold to rules, and nor is what `.gitignore` names.
const SKIPPED: &[&str] = &["/.git", "/crates/testkit/samples"];

/// Every text file of the repository that people write.
pub(crate) fn files() -> Vec<File> {
    let ignored = std::fs::read_to_string(repository().join(".gitignore")).expect("the file .gitignore");
    let skipped: Vec<&str> = SKIPPED.iter().copied().chain(ignored.lines()).collect();
    let mut files = Vec::new();
    walk(&repository(), "", &skipped, &mut files);
    assert!(files.len() > 30, "the tree holds only {} files: is this the repository?", files.len());
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn walk(folder: &Path, prefix: &str, skipped: &[&str], files: &mut Vec<File>) {
    for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let entry = entry.expect("a readable folder");
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if skipped.iter().any(|pattern| is_named(pattern, &path)) {
            continue;
        }
        let kind = entry.file_type().expect("a file type");
        if kind.is_dir() {
            walk(&entry.path(), &format!("{path}/"), skipped, files);
        } else if kind.is_file()
            && let Ok(text) = std::fs::read_to_string(entry.path())
        {
            files.push(File { path, text });
        }
    }
}

/// Whether a path is meant by a line of `.gitignore`, of the kinds that ours has: a path from the root, a name anywhere, an
/// ending.
fn is_named(pattern: &str, path: &str) -> bool {
    match (pattern.strip_prefix('/'), pattern.strip_prefix('*')) {
        (Some(whole), _) => path == whole,
        (None, Some(ending)) => path.ends_with(ending),
        (None, None) => path.rsplit('/').next() == Some(pattern),
    }
}

/// Names at the root, and in `bin`, that nobody agreed on.
pub(crate) fn strays() -> Vec<String> {
    let root = names_in("").into_iter().filter(|name| {
        !ROOT.contains(&name.as_str()) && !name.starts_with('.') && name != "target" && !name.ends_with(".log")
    });
    let programs = names_in("bin").into_iter().filter(|name| !["starling", "setup"].contains(&name.as_str()));
    root.chain(programs.map(|name| format!("bin/{name}"))).collect()
}

fn names_in(folder: &str) -> Vec<String> {
    let folder = repository().join(folder);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.expect("a readable folder").file_name().to_string_lossy().into_owned()).collect()
}
