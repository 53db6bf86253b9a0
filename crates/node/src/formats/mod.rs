//! Files of blocks: RLP streams, era1, ere. Nothing outside this folder knows their bytes.
//!
//! ```text
//! file ─► BlockFile::open (by content, not by name) ─► RawBlock, RawBlock, … ─► decode and check elsewhere
//! ```
//!
//! A length that a file claims never allocates more than the file holds, compressed data never inflates past
//! a limit, and whatever is wrong is said with the file and the byte where it is.

pub mod e2store;
pub mod era1;
pub mod ere;
pub mod rlp_stream;

use alloy_primitives::{B256, Bytes, keccak256};
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    sync::Arc,
};

/// Largest block taken from a file: ten times what a block of 1 Ggas of calldata holds.
pub const BLOCK_SIZE_BYTES_MAX: u64 = 256 << 20;

/// Read buffer of a file.
const READ_BUFFER_SIZE_BYTES: usize = 1 << 20;

/// A block's bytes and where they were found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawBlock {
    /// RLP `[header, transactions, ommers, withdrawals…]`.
    pub rlp: Bytes,
    /// Where in its file it begins, in bytes.
    pub offset: u64,
}

/// A file of blocks is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// The file could not be read.
    #[error("{file}, byte {offset}: {source}")]
    Io {
        /// Which file.
        file: Arc<str>,
        /// Where, in bytes.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The bytes are not what the format says.
    #[error("{file}, byte {offset}: {why}")]
    Malformed {
        /// Which file.
        file: Arc<str>,
        /// Where, in bytes.
        offset: u64,
        /// What is wrong there.
        why: String,
    },
}

impl FormatError {
    pub(crate) fn malformed(file: &Arc<str>, offset: u64, why: impl Into<String>) -> Self {
        Self::Malformed { file: file.clone(), offset, why: why.into() }
    }

    pub(crate) fn io(file: &Arc<str>, offset: u64, source: io::Error) -> Self {
        Self::Io { file: file.clone(), offset, source }
    }
}

/// An open file of blocks, read in order.
#[derive(Debug)]
pub enum BlockFile {
    /// Blocks' RLP, one after the other.
    Rlp(rlp_stream::RlpStream<Input>),
    /// Pre-merge archive.
    Era1(era1::Era1Reader<Input>),
    /// Archive of any era.
    Ere(ere::EreReader),
}

/// Where bytes come from.
pub type Input = Box<dyn NamedRead>;

/// A reader that can be shown in an error and sent to a thread.
pub trait NamedRead: Read + Send + std::fmt::Debug {}
impl<T: Read + Send + std::fmt::Debug> NamedRead for T {}

impl BlockFile {
    /// Opens a file and finds out by its first and last bytes what it is.
    pub fn open(path: &Path) -> Result<Self, FormatError> {
        let name: Arc<str> = path.display().to_string().into();
        let at_start = |source| FormatError::io(&name, 0, source);
        let mut file = File::open(path).map_err(at_start)?;
        if !file.metadata().map_err(at_start)?.is_file() {
            return Self::stream(&name, file);
        }
        if let Some(reader) = ere::EreReader::open(&mut file, &name)? {
            return Ok(Self::Ere(reader));
        }
        file.seek(SeekFrom::Start(0)).map_err(at_start)?;
        Self::stream(&name, file)
    }

    /// Reads a stream that cannot be sought in: RLP or era1.
    pub fn stream(name: &Arc<str>, input: impl Read + Send + std::fmt::Debug + 'static) -> Result<Self, FormatError> {
        let mut input = io::BufReader::with_capacity(READ_BUFFER_SIZE_BYTES, input);
        let mut start = Vec::with_capacity(e2store::ENTRY_HEAD_SIZE_BYTES);
        (&mut input)
            .take(e2store::ENTRY_HEAD_SIZE_BYTES as u64)
            .read_to_end(&mut start)
            .map_err(|source| FormatError::io(name, 0, source))?;
        let is_e2store = start == e2store::VERSION_ENTRY;
        let whole: Input = Box::new(io::Cursor::new(start).chain(input));
        Ok(match is_e2store {
            true => Self::Era1(era1::Era1Reader::new(whole, name)),
            false => Self::Rlp(rlp_stream::RlpStream::new(whole, name)),
        })
    }

    /// Bytes of the file that are read so far.
    pub fn position(&self) -> u64 {
        match self {
            Self::Rlp(stream) => stream.position(),
            Self::Era1(reader) => reader.position(),
            Self::Ere(reader) => reader.position(),
        }
    }
}

impl Iterator for BlockFile {
    type Item = Result<RawBlock, FormatError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Rlp(stream) => stream.next(),
            Self::Era1(reader) => reader.next(),
            Self::Ere(reader) => reader.next(),
        }
    }
}

/// A block's RLP cut in two: the header's RLP, and the body's items without a list around them.
pub fn split_block(rlp: &[u8]) -> alloy_rlp::Result<(&[u8], &[u8])> {
    let mut whole = rlp;
    let list = alloy_rlp::Header::decode_bytes(&mut whole, true)?;
    let mut rest = list;
    alloy_rlp::Header::decode_bytes(&mut rest, true)?;
    Ok(list.split_at(list.len() - rest.len()))
}

/// A block's RLP from its header's RLP and its body's RLP list.
pub fn join_block(header: &[u8], body: &[u8]) -> alloy_rlp::Result<Bytes> {
    let mut rest = body;
    let items = alloy_rlp::Header::decode_bytes(&mut rest, true)?;
    if !rest.is_empty() {
        return Err(alloy_rlp::Error::UnexpectedLength);
    }
    Ok(list_of(&[header, items]))
}

/// An RLP list around items that are RLP already.
pub fn list_of(parts: &[&[u8]]) -> Bytes {
    let payload_length = parts.iter().map(|part| part.len()).sum();
    let head = alloy_rlp::Header { list: true, payload_length };
    let mut out = Vec::with_capacity(payload_length + head.length());
    head.encode(&mut out);
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out.into()
}

/// Number and hash of a block, without decoding more than its header's first fields.
pub fn peek_block(rlp: &[u8]) -> alloy_rlp::Result<(u64, B256)> {
    /// Fields of a header before its number.
    const FIELDS_BEFORE_NUMBER: usize = 8;
    let (header, _) = split_block(rlp)?;
    let hash = keccak256(header);
    let mut whole = header;
    let mut fields = alloy_rlp::Header::decode_bytes(&mut whole, true)?;
    for _ in 0..FIELDS_BEFORE_NUMBER {
        alloy_rlp::Header::decode_bytes(&mut fields, false)?;
    }
    Ok((alloy_rlp::Decodable::decode(&mut fields)?, hash))
}
