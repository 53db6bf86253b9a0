//! Framing of journal files: how a record's bytes are told from torn, damaged, preallocated and recycled ones.
//!
//! ```text
//! file    magic 8 · version u32 · crc u32 of the rest · file id u64 · first lsn u64 · crc of the record before u32
//! record  payload length u32 · crc u32 of all that follows · crc of the record before u32 · kind u8 · 0 0 0
//!         · file id u64 · lsn u64 · payload
//! ```

use crate::codec::Reader;

/// Begins every journal file.
const MAGIC: &[u8; 8] = b"STARLJNL";
/// Length of a file's header.
pub(crate) const FILE_HEADER_SIZE_BYTES: usize = 36;
/// Length of a record's header.
pub(crate) const RECORD_HEADER_SIZE_BYTES: usize = 32;

/// Kinds of records. Sealed (4), Dev (5) and Range (6) are reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum RecordKind {
    /// A block with what importing it found out.
    Block = 1,
    /// Head, safe and finalized.
    Head = 2,
    /// Everything above a block is forgotten.
    Rollback = 3,
}

impl RecordKind {
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        [Self::Block, Self::Head, Self::Rollback].into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// What a file's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileHeader {
    pub(crate) version: u32,
    pub(crate) file_id: u64,
    pub(crate) lsn_first: u64,
    /// Checksum of the last record of the file before.
    pub(crate) previous: u32,
}

impl FileHeader {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut rest = Vec::with_capacity(FILE_HEADER_SIZE_BYTES);
        rest.extend_from_slice(&self.file_id.to_le_bytes());
        rest.extend_from_slice(&self.lsn_first.to_le_bytes());
        rest.extend_from_slice(&self.previous.to_le_bytes());
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&self.version.to_le_bytes());
        out.extend_from_slice(&header_crc(self.version, &rest).to_le_bytes());
        out.extend_from_slice(&rest);
        out
    }

    /// The header, or none if these bytes are not one.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let reader = &mut Reader::new(bytes);
        if reader.take(8).ok()? != MAGIC {
            return None;
        }
        let (version, crc) = (reader.u32().ok()?, reader.u32().ok()?);
        let rest = reader.take(20).ok()?;
        if crc != header_crc(version, rest) {
            return None;
        }
        let reader = &mut Reader::new(rest);
        let (file_id, lsn_first) = (reader.u64().ok()?, reader.u64().ok()?);
        Some(Self { version, file_id, lsn_first, previous: reader.u32().ok()? })
    }
}

fn header_crc(version: u32, rest: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&version.to_le_bytes());
    crc.update(rest);
    crc.finalize()
}

/// A record as it lies in a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    pub(crate) lsn: u64,
    pub(crate) kind: u8,
    pub(crate) crc: u32,
    pub(crate) payload: &'a [u8],
    /// Where the payload starts in the file.
    pub(crate) payload_at: usize,
    previous: u32,
}

impl Frame<'_> {
    /// Where the next record starts.
    pub(crate) fn end(&self) -> usize {
        self.payload_at + self.payload.len()
    }
}

/// Starts a record in an empty buffer: room for its header.
pub(crate) fn begin(buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.resize(RECORD_HEADER_SIZE_BYTES, 0);
}

/// Fills in the header of a record whose payload stands in the buffer; its checksum.
pub(crate) fn seal(buffer: &mut [u8], kind: RecordKind, file_id: u64, lsn: u64, previous: u32) -> u32 {
    let length = (buffer.len() - RECORD_HEADER_SIZE_BYTES) as u32;
    buffer[0..4].copy_from_slice(&length.to_le_bytes());
    buffer[8..12].copy_from_slice(&previous.to_le_bytes());
    buffer[12..16].copy_from_slice(&[kind as u8, 0, 0, 0]);
    buffer[16..24].copy_from_slice(&file_id.to_le_bytes());
    buffer[24..32].copy_from_slice(&lsn.to_le_bytes());
    let crc = crc32fast::hash(&buffer[8..]);
    buffer[4..8].copy_from_slice(&crc.to_le_bytes());
    crc
}

/// The record at an offset of a file, if these bytes are one of this file and its checksum holds.
fn frame_at(bytes: &[u8], at: usize, file_id: u64) -> Option<Frame<'_>> {
    let reader = &mut Reader::new_at(bytes, at);
    let (length, crc, previous) = (reader.u32().ok()?, reader.u32().ok()?, reader.u32().ok()?);
    let kind = reader.u8().ok()?;
    if kind == 0 || reader.take(3).ok()? != [0; 3] || reader.u64().ok()? != file_id {
        return None;
    }
    let lsn = reader.u64().ok()?;
    let payload_at = reader.offset();
    let payload = reader.take(length as usize).ok()?;
    let checked = bytes.get(at + 8..payload_at + payload.len())?;
    (crc32fast::hash(checked) == crc).then_some(Frame { lsn, kind, crc, payload, payload_at, previous })
}

/// The record that continues the chain at an offset: this file, the next number, the checksum before.
pub(crate) fn next_frame(bytes: &[u8], at: usize, file_id: u64, lsn: u64, previous: u32) -> Option<Frame<'_>> {
    frame_at(bytes, at, file_id).filter(|frame| frame.lsn == lsn && frame.previous == previous)
}

/// Whether a valid record of this file stands anywhere behind an offset, and where.
pub(crate) fn find_behind(bytes: &[u8], from: usize, file_id: u64, lsn_min: u64) -> Option<usize> {
    let id = file_id.to_le_bytes();
    (from..bytes.len().saturating_sub(RECORD_HEADER_SIZE_BYTES - 1)).find(|&at| {
        bytes[at + 16..at + 24] == id && frame_at(bytes, at, file_id).is_some_and(|frame| frame.lsn >= lsn_min)
    })
}
