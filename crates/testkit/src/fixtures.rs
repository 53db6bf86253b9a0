//! Where test data lies: `STARLING_FIXTURES`, then `../shared/fixtures` beside the repository, then the
//! small sample in the repository. Tests say which they used; what the sample lacks is skipped aloud.

use std::path::{Path, PathBuf};

use alloy_primitives::Bytes;

/// The root of this repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("crates/testkit lies two below the root").into()
}

/// The folder of fixtures in use.
pub fn folder() -> PathBuf {
    if let Some(named) = std::env::var_os("STARLING_FIXTURES") {
        return named.into();
    }
    let beside = repository().join("../shared/fixtures");
    if beside.is_dir() { beside } else { sample() }
}

/// The small sample that every clone has, laid out like the big folder.
pub fn sample() -> PathBuf {
    repository().join("crates/testkit/samples")
}

/// A fixture by its path in the folder; none, said aloud, if neither the folder nor the sample has it.
pub fn find(path: &str) -> Option<PathBuf> {
    let found = [folder(), sample()].into_iter().map(|folder| folder.join(path)).find(|path| path.exists());
    match &found {
        Some(found) => eprintln!("fixtures: {}", found.display()),
        None => eprintln!("skipped: no {path} in {}; STARLING_FIXTURES names a folder that has it", folder().display()),
    }
    found
}

/// A fixture's text.
pub fn read(path: &str) -> Option<String> {
    find(path)
        .map(|found| std::fs::read_to_string(&found).unwrap_or_else(|error| panic!("{}: {error}", found.display())))
}

/// A fixture's bytes.
pub fn read_bytes(path: &str) -> Option<Vec<u8>> {
    find(path).map(|found| std::fs::read(&found).unwrap_or_else(|error| panic!("{}: {error}", found.display())))
}

/// The blocks of an RLP stream, each with its bytes. The stream is a fixture: a damaged one panics.
pub fn blocks(mut stream: &[u8]) -> Vec<Bytes> {
    let mut blocks = Vec::new();
    while !stream.is_empty() {
        let mut rest = stream;
        let header = alloy_rlp::Header::decode(&mut rest).expect("a list");
        let length = stream.len() - rest.len() + header.payload_length;
        blocks.push(Bytes::copy_from_slice(&stream[..length]));
        stream = &stream[length..];
    }
    blocks
}
