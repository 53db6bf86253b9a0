//! Reading `.io` files: comments, then requests (`>> JSON`) and their responses (`<< JSON`) in turn.
//!
//! A comment that begins with `speconly:` before the first request means that only the shape of the answer counts.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::Outcome;

/// One file.
#[derive(Debug)]
pub(super) struct Case {
    /// `METHOD/FILE`.
    pub(super) name: String,
    /// The folder that holds it, which is called after the method.
    pub(super) method: String,
    /// Whether only the shape of the answers counts.
    pub(super) shape_only: bool,
    /// Requests and their published responses, in order.
    pub(super) exchanges: Vec<(Value, Value)>,
}

/// Every case of a folder of folders, in order of their names.
pub(super) fn cases(folder: &Path) -> Outcome<Vec<Case>> {
    let mut cases = Vec::new();
    for method in entries(folder)?.into_iter().filter(|path| path.is_dir()) {
        for file in entries(&method)?.into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "io")) {
            let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            let (method, name) = (name(&method), name(&file));
            let case = parse(&text).map_err(|error| format!("{method}/{name}: {error}"))?;
            cases.push(Case { name: format!("{method}/{name}"), method, shape_only: case.0, exchanges: case.1 });
        }
    }
    Ok(cases)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn entries(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    let entries: Result<Vec<_>, _> =
        std::fs::read_dir(folder).map_err(failed)?.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut entries = entries.map_err(failed)?;
    entries.sort();
    Ok(entries)
}

/// Whether the file is about shape only, and what it exchanges.
fn parse(text: &str) -> Outcome<(bool, Vec<(Value, Value)>)> {
    let mut shape_only = false;
    let mut asked = None;
    let mut exchanges = Vec::new();
    for line in text.lines() {
        let json = |line: &str| serde_json::from_str::<Value>(line).map_err(|error| error.to_string());
        if let Some(request) = line.strip_prefix(">>") {
            asked = Some(json(request)?);
        } else if let Some(response) = line.strip_prefix("<<") {
            let request = asked.take().ok_or("a response without a request")?;
            exchanges.push((request, json(response)?));
        } else if exchanges.is_empty() && asked.is_none() {
            shape_only |= line.trim_start_matches('/').trim_start().starts_with("speconly:");
        }
    }
    if exchanges.is_empty() { Err("no exchange".into()) } else { Ok((shape_only, exchanges)) }
}

#[test]
fn files_are_read() {
    let (shape_only, exchanges) = parse("// a\n// speconly: b\n>> {\"a\":1}\n<< {\"b\":2}\n").expect("a case");
    assert!(shape_only);
    assert_eq!(exchanges, [(serde_json::json!({"a": 1}), serde_json::json!({"b": 2}))]);
    assert!(parse("<< {}").is_err());
    assert!(parse("// nothing").is_err());
}
