//! Rules on the text of files: length, unfinished work, private words, proofs of `unsafe`.

use crate::tree::File;

/// Longest source file, in lines. Past this a file usually hides two.
const LINES_MAX: usize = 700;

/// Lines above an `unsafe` in which its proof must begin.
const PROOF_DISTANCE_LINES: usize = 8;

/// Source files past the limit.
pub(crate) fn long_files(files: &[File]) -> Vec<String> {
    let long = |file: &File| {
        let lines = file.text.lines().count();
        (is_source(&file.path) && lines > LINES_MAX)
            .then(|| format!("{} has {lines} lines, the limit is {LINES_MAX}: split it", file.path))
    };
    files.iter().filter_map(long).collect()
}

fn is_source(path: &str) -> bool {
    [".rs", ".sh", ".py", ".js", ".ts", ".mjs"].iter().any(|ending| path.ends_with(ending))
}

/// Unfinished marks, tests that are switched off, and paths of one machine.
pub(crate) fn forbidden_words(files: &[File]) -> Vec<String> {
    // Put together here, so that this file does not find itself.
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("#[ig", "nore"),
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/t", "mp/"),
        concat!("/ho", "me/"),
    ];
    let mut broken = Vec::new();
    for file in files.iter().filter(|file| file.path != "Cargo.lock" && !file.path.starts_with("LICENSE")) {
        for (number, line) in file.lines() {
            broken.extend(
                words.iter().filter(|word| line.contains(**word)).map(|word| format!("{}:{number}: {word}", file.path)),
            );
        }
    }
    broken
}

/// Uses of `unsafe` without a written proof.
pub(crate) fn unproven_unsafe(files: &[File]) -> Vec<String> {
    let mut broken = Vec::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let lines: Vec<&str> = file.text.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            let above = &lines[index.saturating_sub(PROOF_DISTANCE_LINES)..=index];
            let proven = above.iter().any(|line| line.contains("SAFETY:") || line.contains("# Safety"));
            if opens_unsafe(line) && !proven {
                broken.push(format!("{}:{}: {}", file.path, index + 1, line.trim()));
            }
        }
    }
    broken
}

fn opens_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    [concat!("unsa", "fe {"), concat!("unsa", "fe impl"), concat!("unsa", "fe fn"), concat!("unsa", "fe extern")]
        .iter()
        .any(|form| code.contains(form))
}
