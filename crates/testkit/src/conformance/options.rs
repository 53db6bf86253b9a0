//! What the runner is asked to do.

use alloy_primitives::keccak256;
use std::path::PathBuf;

/// One in how many cases of blocks runs on a database on disk, through the chain's own thread: two in a hundred.
const ON_DISK_ONE_IN: u64 = 50;
/// Parts that a sample is counted in.
const SAMPLE_PARTS: u64 = 1_000_000;

/// How the runner is called.
pub const USAGE: &str = "\
usage: conformance [ARCHIVE…] [--only CASE] [--sample N%] [--threads N] [--failures N] [--http] [--pack DIR]

  ARCHIVE       names without `.tar.zst`, or `vectors`; else all of the folder
  --only CASE   one case by its name as a failure prints it, or all whose name begins so
  --sample N%   a part of the cases, always the same: chosen by a hash of their names
  --threads N   workers (the machine's cores)
  --failures N  how many failures are printed in full (20)
  --http        engine cases through the authenticated HTTP port, not by calling its methods

  --pack DIR    run nothing: write the archives again into DIR with that part of their files (small ones only)

STARLING_FIXTURES names the folder of archives. Exit status: 0 all held, 1 something failed, 2 wrong usage.";

/// What to run and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Archives by name; all if there are none.
    pub archives: Vec<String>,
    /// Which of their cases.
    pub selection: Selection,
    /// Workers.
    pub threads: usize,
    /// Most failures that are printed in full.
    pub failures_max: usize,
    /// Instead of running: where to write archives with a part of the files.
    pub pack: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            archives: Vec::new(),
            selection: Selection::default(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            failures_max: 20,
            pack: None,
        }
    }
}

/// Which cases of an archive are run.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// The beginning of a case's name.
    pub only: Option<String>,
    /// Which part of the cases, in millionths; none: all.
    pub sample_ppm: Option<u64>,
    /// Engine cases go through the authenticated HTTP port.
    pub over_http: bool,
}

impl Selection {
    /// A part of the cases, in percent.
    pub fn sample(percent: f64) -> Self {
        Self { sample_ppm: Some((percent * SAMPLE_PARTS as f64 / 100.0) as u64), ..Self::default() }
    }

    /// Whether a case is among them; its id is `prefix` and `name`.
    pub fn wants(&self, prefix: &str, name: &str) -> bool {
        if let Some(only) = &self.only {
            let matched = match only.strip_prefix(prefix) {
                Some(rest) => name.starts_with(rest),
                None => prefix.starts_with(only.as_str()),
            };
            if !matched {
                return false;
            }
        }
        self.sample_ppm.is_none_or(|part| hash(prefix, name) % SAMPLE_PARTS < part)
    }

    /// Whether any case of a member can be among them.
    pub fn wants_member(&self, archive: &str, path: &str) -> bool {
        let Some(only) = &self.only else { return true };
        let prefix = format!("{archive}/{path}::");
        prefix.starts_with(only.as_str()) || only.starts_with(&prefix)
    }

    /// Whether a case runs on disk: always the same two in a hundred.
    pub fn is_on_disk(&self, prefix: &str, name: &str) -> bool {
        (hash(prefix, name) / SAMPLE_PARTS).is_multiple_of(ON_DISK_ONE_IN)
    }
}

/// Where the hash of a member lies, in millionths.
pub(super) fn part_of(archive: &str, path: &str) -> u64 {
    hash(archive, path) % SAMPLE_PARTS
}

/// The same number for the same case on every machine.
fn hash(prefix: &str, name: &str) -> u64 {
    let digest = keccak256([prefix.as_bytes(), name.as_bytes()].concat());
    u64::from_be_bytes(*digest.first_chunk().unwrap_or(&[0; 8]))
}

impl Options {
    /// Reads the command line; none if it is not understood.
    pub fn from_arguments(arguments: &[String]) -> Option<Self> {
        let mut options = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "--only" => options.selection.only = Some(rest.next()?.clone()),
                "--sample" => {
                    let percent = rest.next()?.trim_end_matches('%').parse().ok()?;
                    options.selection.sample_ppm = Selection::sample(percent).sample_ppm;
                }
                "--threads" => options.threads = rest.next()?.parse().ok().filter(|threads| *threads > 0)?,
                "--failures" => options.failures_max = rest.next()?.parse().ok()?,
                "--http" => options.selection.over_http = true,
                "--pack" => options.pack = Some(rest.next()?.into()),
                flag if flag.starts_with('-') => return None,
                archive => options.archives.push(archive.trim_end_matches(".tar.zst").into()),
            }
        }
        Some(options)
    }
}
