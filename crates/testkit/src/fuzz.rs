//! Fuzzing on stable: a committed corpus, replayed and then mutated with a seeded generator.
//!
//! ```
//! use starling_testkit::fuzz;
//!
//! let corpus = [b"some valid input".to_vec()];
//! fuzz::run("example", &corpus, |bytes| assert!(std::str::from_utf8(bytes).is_ok() || !bytes.is_empty()));
//! ```
//!
//! A harness is a function over bytes that must not panic. In a plain test run each corpus entry and a fixed number of
//! mutations go through it, the same ones every time. `STARLING_FUZZ_SECONDS=600` runs as long as that with a fresh
//! seed. There is no feedback from coverage, which needs instrumented builds and a nightly compiler, so a
//! corpus should hold one input for each branch worth reaching. A failure prints the input and the seed; with
//! `STARLING_FUZZ_SEED` the run repeats.

use crate::fixtures::repository;
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant, UNIX_EPOCH};

/// Mutations in a plain test run.
const MUTATIONS: u64 = 1_000;
/// The longest input, in bytes.
const INPUT_BYTES_MAX: usize = 16 * 1024;
/// Bytes at which parsers change their mind, of RLP above all.
const EDGES: [u8; 16] =
    [0x00, 0x01, 0x02, 0x10, 0x37, 0x38, 0x7f, 0x80, 0x81, 0xa0, 0xb7, 0xb8, 0xc0, 0xc1, 0xf8, 0xff];

/// The files of a folder of the repository, in order of their names.
pub fn corpus(folder: &str) -> Vec<Vec<u8>> {
    let path = repository().join(folder);
    let entries = std::fs::read_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))).collect()
}

/// Runs `target` on the corpus, then on mutations of it.
pub fn run(name: &str, corpus: &[Vec<u8>], target: impl Fn(&[u8])) {
    let variable = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seconds = variable("STARLING_FUZZ_SECONDS");
    let fresh = || UNIX_EPOCH.elapsed().map_or(1, |since| since.as_nanos() as u64);
    let seed = variable("STARLING_FUZZ_SEED").unwrap_or_else(|| seconds.map_or(1, |_| fresh()));
    let deadline = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    corpus.iter().for_each(|input| attempt(name, seed, input, &target));
    let mut rng = StdRng::seed_from_u64(seed);
    let mut runs = 0;
    while deadline.map_or(runs < MUTATIONS, |deadline| Instant::now() < deadline) {
        let input = mutated(corpus, &mut rng);
        attempt(name, seed, &input, &target);
        runs += 1;
    }
    eprintln!("fuzz {name}: {} corpus inputs and {runs} mutations, seed {seed}", corpus.len());
}

fn attempt(name: &str, seed: u64, input: &[u8], target: &impl Fn(&[u8])) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(input))) {
        eprintln!("fuzz {name}: failed with STARLING_FUZZ_SEED={seed} on {}", hex::encode(input));
        resume_unwind(panic);
    }
}

fn mutated(corpus: &[Vec<u8>], rng: &mut StdRng) -> Vec<u8> {
    let mut input = pick(corpus, rng);
    for _ in 0..rng.random_range(1..=6) {
        mutate(&mut input, corpus, rng);
    }
    input.truncate(INPUT_BYTES_MAX);
    input
}

fn pick(corpus: &[Vec<u8>], rng: &mut StdRng) -> Vec<u8> {
    if corpus.is_empty() || rng.random_ratio(1, 50) {
        let mut random = vec![0; rng.random_range(0..300)];
        rng.fill_bytes(&mut random);
        return random;
    }
    corpus[rng.random_range(0..corpus.len())].clone()
}

fn mutate(input: &mut Vec<u8>, corpus: &[Vec<u8>], rng: &mut StdRng) {
    let at = rng.random_range(0..=input.len());
    let end = (at + rng.random_range(1..=16)).min(input.len());
    match rng.random_range(0..8) {
        0 if at < input.len() => input[at] ^= 1 << rng.random_range(0..8),
        1 if at < input.len() => input[at] = EDGES[rng.random_range(0..EDGES.len())],
        2 if at < input.len() => input[at] = input[at].wrapping_add(rng.random_range(0..=4)).wrapping_sub(2),
        3 => input.insert(at, EDGES[rng.random_range(0..EDGES.len())]),
        4 => drop(input.drain(at..end)),
        5 => input.truncate(at),
        6 => {
            let again = input[at..end].to_vec();
            input.splice(at..at, again);
        }
        _ => {
            let other = pick(corpus, rng);
            let from = rng.random_range(0..=other.len());
            input.splice(at..end, other[from..].iter().copied());
        }
    }
}
