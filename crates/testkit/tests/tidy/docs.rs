//! Documents are held to the tree: the paths and the make targets that they name must exist.

use std::collections::BTreeSet;

use starling_testkit::fixtures::repository;

use crate::tree::File;

/// What a path of ours begins with.
const ROOTS: &[&str] = &["bin/", "crates/", "docs/", "genesis/", "testnet/", ".ci/"];
/// Made by running what documents describe.
const MADE: &str = "testnet/local";

/// Paths named in documents that are not there. Patterns and places to fill in (`*`, `{`, `<`, capitals as in `NAME`)
/// are not checked beyond their fixed beginning.
pub(crate) fn missing_paths(files: &[File]) -> Vec<String> {
    let mut broken = Vec::new();
    for file in files.iter().filter(|file| file.is_document()) {
        for (number, line) in file.lines() {
            for path in paths(line).chain(links(line, &file.path)) {
                if !path.starts_with(MADE) && !repository().join(&path).exists() {
                    broken.push(format!("{}:{number}: {path}", file.path));
                }
            }
        }
    }
    broken
}

fn paths(line: &str) -> impl Iterator<Item = String> {
    line.split(|character: char| !(character.is_ascii_alphanumeric() || "/._-*{<".contains(character)))
        .map(|word| word.trim_start_matches("./").trim_end_matches(['.', '-']))
        .filter(|word| ROOTS.iter().any(|root| word.starts_with(root) && word.len() > root.len()))
        .map(|word| match word.find(['*', '{', '<']) {
            Some(pattern) => word[..pattern].rsplit_once('/').map_or("", |(folder, _)| folder).to_string(),
            None => word.to_string(),
        })
}

/// Targets of `[text](target)` inside the repository, from the root.
fn links(line: &str, document: &str) -> impl Iterator<Item = String> {
    let folder = document.rsplit_once('/').map_or("", |(folder, _)| folder).to_string();
    line.split("](")
        .skip(1)
        .filter_map(move |rest| {
            let target = rest.split(')').next()?.split('#').next()?;
            (!target.is_empty() && !target.contains("://")).then(|| format!("{folder}/{target}").replace("//", "/"))
        })
        .map(|target| target.trim_start_matches('/').to_string())
}

/// Make targets named in code of documents that the Makefile does not have.
pub(crate) fn missing_targets(files: &[File]) -> Vec<String> {
    let makefile = files.iter().find(|file| file.path == "Makefile").map_or("", |file| file.text.as_str());
    let known: BTreeSet<&str> = makefile
        .lines()
        .filter(|line| !line.starts_with(['\t', ' ', '#', '.']))
        .filter_map(|line| line.split_once(':'))
        .flat_map(|(names, _)| names.split_whitespace())
        .collect();
    let mut broken = Vec::new();
    for file in files.iter().filter(|file| file.is_document()) {
        for (number, target) in targets(&file.text) {
            if !known.contains(target.as_str()) {
                broken.push(format!("{}:{number}: make {target}", file.path));
            }
        }
    }
    broken
}

/// The words after `make` in code spans and code blocks, with their line numbers.
fn targets(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut in_block = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            found.extend(after_make(line).map(|target| (index + 1, target)));
        } else {
            let spans = line.split('`').skip(1).step_by(2);
            found.extend(spans.flat_map(after_make).map(|target| (index + 1, target)));
        }
    }
    found
}

fn after_make(code: &str) -> impl Iterator<Item = String> {
    let code = code.split(" #").next().unwrap_or_default();
    let words: Vec<String> = code.split_whitespace().map(str::to_string).collect();
    let follows = |word: &String| word.starts_with(|first: char| first.is_ascii_lowercase());
    words
        .windows(2)
        .filter(|pair| pair[0] == "make" && follows(&pair[1]))
        .map(|pair| pair[1].trim_end_matches([';', ',', '.', ')']).to_string())
        .collect::<Vec<_>>()
        .into_iter()
}

#[test]
fn documents_are_read_as_people_read_them() {
    assert_eq!(
        paths("see `crates/trie/src/lib.rs`, docs/STYLE.md. and crates/*/tests").collect::<Vec<_>>(),
        ["crates/trie/src/lib.rs", "docs/STYLE.md", "crates"]
    );
    assert_eq!(links("[a](STYLE.md#x) [b](https://c)", "docs/TESTING.md").collect::<Vec<_>>(), ["docs/STYLE.md"]);
    assert_eq!(targets("make sure `bin/setup && make run`"), [(1, "run".to_string())]);
}
