//! e2store: the container of era1 and ere files. Entries of type (2 bytes), length (4), zero (2), data.
//! All integers are little-endian. <https://github.com/status-im/nimbus-eth2/blob/stable/docs/e2store.md>

use super::FormatError;
use std::{
    io::{self, Read, Write},
    sync::Arc,
};

/// Type of the entry that every file begins with; its data is empty.
pub const VERSION: u16 = 0x3265;
/// Framed snappy of a header's RLP.
pub const COMPRESSED_HEADER: u16 = 0x03;
/// Framed snappy of a body's RLP.
pub const COMPRESSED_BODY: u16 = 0x04;
/// Framed snappy of receipts in their consensus form, as an RLP list.
pub const COMPRESSED_RECEIPTS: u16 = 0x05;
/// Total difficulty up to and with the block, 32 bytes.
pub const TOTAL_DIFFICULTY: u16 = 0x06;
/// Root of the epoch's header records, 32 bytes.
pub const ACCUMULATOR: u16 = 0x07;
/// Where the blocks of an era1 file begin.
pub const BLOCK_INDEX: u16 = 0x3266;
/// Where the parts of the blocks of an ere file begin.
pub const DYNAMIC_BLOCK_INDEX: u16 = 0x3267;

/// Most blocks a file holds, and the length of an epoch.
pub const EPOCH_BLOCKS: u64 = 8192;

/// Bytes before an entry's data.
pub const ENTRY_HEAD_SIZE_BYTES: usize = 8;
/// The first bytes of every e2store file.
pub const VERSION_ENTRY: [u8; ENTRY_HEAD_SIZE_BYTES] = [0x65, 0x32, 0, 0, 0, 0, 0, 0];

/// An entry's type and place; its data follows in the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryHead {
    /// Type.
    pub kind: u16,
    /// Length of the data in bytes, as the file claims.
    pub length: u32,
    /// Where the entry begins, in bytes.
    pub offset: u64,
}

/// Reads entries one after the other and counts bytes.
#[derive(Debug)]
pub struct EntryReader<R> {
    input: R,
    file: Arc<str>,
    position: u64,
}

impl<R: Read> EntryReader<R> {
    /// Reads from `input`, whose first byte stands at `position`.
    pub fn new(input: R, file: &Arc<str>, position: u64) -> Self {
        Self { input, file: file.clone(), position }
    }

    /// Bytes read so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next entry's head, none at the end of the file.
    pub fn head(&mut self) -> Result<Option<EntryHead>, FormatError> {
        let offset = self.position;
        let mut head = Vec::with_capacity(ENTRY_HEAD_SIZE_BYTES);
        self.read_into(&mut head, ENTRY_HEAD_SIZE_BYTES as u64)?;
        if head.is_empty() {
            return Ok(None);
        }
        let Ok([t0, t1, l0, l1, l2, l3, r0, r1]) = <[u8; ENTRY_HEAD_SIZE_BYTES]>::try_from(head) else {
            return Err(FormatError::malformed(&self.file, offset, "the file ends within an entry's head"));
        };
        if [r0, r1] != [0, 0] {
            return Err(FormatError::malformed(&self.file, offset, "an entry's reserved bytes are not zero"));
        }
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        Ok(Some(EntryHead { kind: u16::from_le_bytes([t0, t1]), length, offset }))
    }

    /// The data of the entry whose head was read last.
    pub fn data(&mut self, head: EntryHead) -> Result<Vec<u8>, FormatError> {
        let mut data = Vec::new();
        self.read_into(&mut data, u64::from(head.length))?;
        if data.len() != head.length as usize {
            return Err(self.cut_off(head));
        }
        Ok(data)
    }

    /// Passes over the data of the entry whose head was read last.
    pub fn skip(&mut self, head: EntryHead) -> Result<(), FormatError> {
        let skipped = io::copy(&mut (&mut self.input).take(u64::from(head.length)), &mut io::sink())
            .map_err(|source| FormatError::io(&self.file, self.position, source))?;
        self.position += skipped;
        if skipped == u64::from(head.length) { Ok(()) } else { Err(self.cut_off(head)) }
    }

    fn cut_off(&self, head: EntryHead) -> FormatError {
        let why = format!("entry of type {:#06x} claims {} bytes and the file ends before", head.kind, head.length);
        FormatError::malformed(&self.file, head.offset, why)
    }

    /// Reads up to `limit` bytes; the buffer grows with what is there, not with what is claimed.
    fn read_into(&mut self, out: &mut Vec<u8>, limit: u64) -> Result<(), FormatError> {
        let read = (&mut self.input)
            .take(limit)
            .read_to_end(out)
            .map_err(|source| FormatError::io(&self.file, self.position, source))?;
        self.position += read as u64;
        Ok(())
    }
}

/// Inflates framed snappy to at most `limit` bytes.
pub fn unframe(data: &[u8], limit: u64) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    snap::read::FrameDecoder::new(data)
        .take(limit.saturating_add(1))
        .read_to_end(&mut out)
        .map_err(|error| format!("compressed data is damaged: {error}"))?;
    if out.len() as u64 > limit {
        return Err(format!("compressed data inflates past {limit} bytes"));
    }
    Ok(out)
}

/// Deflates into framed snappy.
pub fn frame(data: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = snap::write::FrameEncoder::new(Vec::with_capacity(data.len() / 2 + 32));
    encoder.write_all(data)?;
    encoder.into_inner().map_err(|error| io::Error::other(error.to_string()))
}

/// Writes one entry and returns its size in bytes.
pub fn write_entry(out: &mut impl Write, kind: u16, data: &[u8]) -> io::Result<u64> {
    let length = u32::try_from(data.len()).map_err(|_| io::Error::other("entry larger than 4 GiB"))?;
    let mut head = [0; ENTRY_HEAD_SIZE_BYTES];
    head[..2].copy_from_slice(&kind.to_le_bytes());
    head[2..6].copy_from_slice(&length.to_le_bytes());
    out.write_all(&head)?;
    out.write_all(data)?;
    Ok((ENTRY_HEAD_SIZE_BYTES + data.len()) as u64)
}
