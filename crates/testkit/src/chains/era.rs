//! Just enough of the e2store format to compare two era files, and geth's own tool as a second opinion.
//!
//! A record is its type (2 bytes, little endian), the length of its data (4), two reserved bytes and the data.
//! Source: github.com/eth-clients/e2store-format-specs.

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use crate::Outcome;

/// Types whose data is a framed Snappy stream: header, body, receipts.
const COMPRESSED: &[u16] = &[0x03, 0x04, 0x05];

/// Accumulator root of an era1 file.
const ACCUMULATOR: u16 = 0x07;

/// The index at the end, whose offsets move with the compression.
const BLOCK_INDEX: u16 = 0x3266;

/// The most that one record may hold once it is decompressed, in bytes.
const RECORD_BYTES_MAX: u64 = 64 << 20;

/// One record, decompressed.
pub(super) struct Record {
    kind: u16,
    data: Vec<u8>,
}

impl Record {
    /// Whether two records say the same; offsets are not compared.
    pub(super) fn same_content(&self, other: &Self) -> bool {
        self.kind == other.kind && (self.kind == BLOCK_INDEX || self.data == other.data)
    }
}

impl fmt::Display for Record {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "type {:#06x}, {} bytes", self.kind, self.data.len())
    }
}

/// Every record of a file.
pub(super) fn read(path: &Path) -> Outcome<Vec<Record>> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut rest = bytes.as_slice();
    let mut records = Vec::new();
    while let Some((head, tail)) = rest.split_first_chunk::<8>() {
        let kind = u16::from_le_bytes([head[0], head[1]]);
        let length = u32::from_le_bytes([head[2], head[3], head[4], head[5]]) as usize;
        let data = tail.get(..length).ok_or_else(|| format!("{}: a record is cut off", path.display()))?;
        records.push(Record { kind, data: inflate(kind, data)? });
        rest = &tail[length..];
    }
    Ok(records)
}

fn inflate(kind: u16, data: &[u8]) -> Outcome<Vec<u8>> {
    if !COMPRESSED.contains(&kind) {
        return Ok(data.to_vec());
    }
    let mut inflated = Vec::new();
    let stream = snap::read::FrameDecoder::new(data);
    stream.take(RECORD_BYTES_MAX).read_to_end(&mut inflated).map_err(|error| format!("Snappy: {error}"))?;
    Ok(inflated)
}

/// What geth's `era verify` says about a file of a network, if the tool is on `PATH` or named by `STARLING_ERA`.
pub(super) fn verify(file: &Path, network: &str) -> Outcome<String> {
    let tool = std::env::var_os("STARLING_ERA").unwrap_or_else(|| "era".into());
    let records = read(file)?;
    let root = records.iter().find(|record| record.kind == ACCUMULATOR).ok_or("the file has no accumulator")?;
    let folder = tempfile::tempdir().map_err(|error| format!("a temporary folder: {error}"))?;
    let failed = |error: std::io::Error| format!("{}: {error}", folder.path().display());
    let eras = folder.path().join("eras");
    let root = hex::encode(&root.data);
    std::fs::create_dir(&eras).map_err(failed)?;
    std::fs::copy(file, eras.join(format!("{network}-00000-{}.era1", &root[..8.min(root.len())]))).map_err(failed)?;
    let roots = folder.path().join("roots");
    std::fs::write(&roots, format!("0x{root}\n")).map_err(failed)?;
    let mut command = Command::new(&tool);
    command.arg("--dir").arg(&eras).args(["--network", network, "verify"]).arg(&roots);
    Ok(match command.output() {
        Err(_) => "not tried, the tool is not here (github.com/ethereum/go-ethereum/cmd/era@v1.17.10)".into(),
        Ok(done) if done.status.success() => "accepted".into(),
        Ok(done) => format!("refused: {}", String::from_utf8_lossy(&done.stderr).trim()),
    })
}
