//! era1: up to 8192 blocks from before the merge, with receipts and total difficulties.
//!
//! ```text
//! Version (Header Body Receipts TotalDifficulty)* Accumulator BlockIndex
//! ```
//!
//! <https://github.com/eth-clients/e2store-format-specs/blob/main/formats/era1.md>
//!
//! Receipts are passed over on reading: executing the block makes them again, and its header proves them.

use super::{
    BLOCK_SIZE_BYTES_MAX, FormatError, RawBlock,
    e2store::{
        ACCUMULATOR, BLOCK_INDEX, COMPRESSED_BODY, COMPRESSED_HEADER, COMPRESSED_RECEIPTS, EPOCH_BLOCKS, EntryHead,
        EntryReader, TOTAL_DIFFICULTY, VERSION, frame, unframe, write_entry,
    },
    join_block, peek_block, split_block,
};
use alloy_primitives::{B256, U256, keccak256};
use sha2::{Digest, Sha256};
use std::{
    io::{self, Read, Write},
    sync::Arc,
};

/// A block's place in the accumulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderRecord {
    /// keccak of the header.
    pub block_hash: B256,
    /// Up to and with the block.
    pub total_difficulty: U256,
}

/// SSZ `hash_tree_root(List[HeaderRecord, 8192])`.
pub fn accumulator_root(records: &[HeaderRecord]) -> B256 {
    /// log2 of the list's limit.
    const DEPTH: u32 = EPOCH_BLOCKS.ilog2();
    let pair =
        |left: B256, right: B256| B256::from_slice(&Sha256::new().chain_update(left).chain_update(right).finalize());
    let mut nodes: Vec<B256> = records
        .iter()
        .map(|record| pair(record.block_hash, B256::from(record.total_difficulty.to_le_bytes::<32>())))
        .collect();
    let mut empty = B256::ZERO;
    for _ in 0..DEPTH {
        nodes = nodes.chunks(2).map(|two| pair(two[0], two.get(1).copied().unwrap_or(empty))).collect();
        empty = pair(empty, empty);
    }
    let mut length = B256::ZERO;
    length[..8].copy_from_slice(&(records.len() as u64).to_le_bytes());
    pair(nodes.first().copied().unwrap_or(empty), length)
}

/// The name the format gives a file: network, epoch, first four bytes of the accumulator root.
pub fn file_name(network: &str, epoch: u64, root: &B256) -> String {
    format!("{network}-{epoch:05}-{}.era1", alloy_primitives::hex::encode(&root[..4]))
}

/// Reads an era1 file from front to back. After an error nothing more comes.
#[derive(Debug)]
pub struct Era1Reader<R> {
    entries: EntryReader<R>,
    file: Arc<str>,
    records: Vec<HeaderRecord>,
    first_number: u64,
    ended: bool,
}

impl<R: Read> Era1Reader<R> {
    /// Reads from the first byte of `input`.
    pub fn new(input: R, file: &Arc<str>) -> Self {
        let entries = EntryReader::new(input, file, 0);
        Self { entries, file: file.clone(), records: Vec::new(), first_number: 0, ended: false }
    }

    /// Bytes read so far.
    pub fn position(&self) -> u64 {
        self.entries.position()
    }

    fn block(&mut self) -> Result<Option<RawBlock>, FormatError> {
        let head = loop {
            let head = self.entries.head()?.ok_or_else(|| self.ends_early("a block or the accumulator"))?;
            match head.kind {
                COMPRESSED_HEADER => break head,
                ACCUMULATOR => return self.end(head).map(|()| None),
                VERSION if head.length == 0 && self.records.is_empty() => {}
                kind => return Err(self.malformed(head.offset, unexpected(kind, "a block or the accumulator"))),
            }
        };
        let header = self.inflate(head)?;
        let body_head = self.expect(COMPRESSED_BODY, "a body")?;
        let body = self.inflate(body_head)?;
        let rlp = join_block(&header, &body)
            .map_err(|error| self.malformed(body_head.offset, format!("the body is not one RLP list: {error}")))?;
        let (number, block_hash) = peek_block(&rlp)
            .map_err(|error| self.malformed(head.offset, format!("the header does not decode: {error}")))?;
        let receipts = self.expect(COMPRESSED_RECEIPTS, "receipts")?;
        self.entries.skip(receipts)?;
        let total_difficulty = self.total_difficulty()?;
        self.record(head, number, HeaderRecord { block_hash, total_difficulty })?;
        Ok(Some(RawBlock { rlp, offset: head.offset }))
    }

    fn total_difficulty(&mut self) -> Result<U256, FormatError> {
        let head = self.expect(TOTAL_DIFFICULTY, "a total difficulty")?;
        self.word(head).map(|word| U256::from_le_bytes(word.0))
    }

    fn record(&mut self, head: EntryHead, number: u64, record: HeaderRecord) -> Result<(), FormatError> {
        if self.records.is_empty() {
            self.first_number = number;
        }
        if self.records.len() as u64 == EPOCH_BLOCKS {
            return Err(self.malformed(head.offset, format!("more than {EPOCH_BLOCKS} blocks")));
        }
        self.records.push(record);
        Ok(())
    }

    /// The accumulator was reached: it and the index must fit the blocks, and nothing may follow.
    fn end(&mut self, head: EntryHead) -> Result<(), FormatError> {
        let root = self.word(head)?;
        let expected = accumulator_root(&self.records);
        if root != expected {
            return Err(self.malformed(head.offset, format!("accumulator root {root}, the blocks make {expected}")));
        }
        let index_head = self.expect(BLOCK_INDEX, "the block index")?;
        let index = self.entries.data(index_head)?;
        let count = self.records.len();
        let words = |at: usize| index.get(at..at + 8).and_then(|word| word.try_into().ok()).map(u64::from_le_bytes);
        let fits = index.len() == 8 * (count + 2)
            && words(8 * (count + 1)) == Some(count as u64)
            && (count == 0 || words(0) == Some(self.first_number));
        if !fits {
            return Err(self.malformed(index_head.offset, format!("the block index does not fit {count} blocks")));
        }
        match self.entries.head()? {
            None => Ok(()),
            Some(head) => Err(self.malformed(head.offset, "bytes after the block index")),
        }
    }

    fn expect(&mut self, kind: u16, what: &str) -> Result<EntryHead, FormatError> {
        let head = self.entries.head()?.ok_or_else(|| self.ends_early(what))?;
        if head.kind == kind {
            return Ok(head);
        }
        Err(self.malformed(head.offset, unexpected(head.kind, what)))
    }

    fn word(&mut self, head: EntryHead) -> Result<B256, FormatError> {
        let data = self.entries.data(head)?;
        B256::try_from(data.as_slice())
            .map_err(|_| self.malformed(head.offset, format!("{} bytes where 32 belong", data.len())))
    }

    fn inflate(&mut self, head: EntryHead) -> Result<Vec<u8>, FormatError> {
        let data = self.entries.data(head)?;
        unframe(&data, BLOCK_SIZE_BYTES_MAX).map_err(|why| self.malformed(head.offset, why))
    }

    fn ends_early(&self, wanted: &str) -> FormatError {
        self.malformed(self.position(), format!("the file ends where {wanted} should come"))
    }

    fn malformed(&self, offset: u64, why: impl Into<String>) -> FormatError {
        FormatError::malformed(&self.file, offset, why)
    }
}

fn unexpected(kind: u16, wanted: &str) -> String {
    match kind {
        COMPRESSED_HEADER | super::e2store::DYNAMIC_BLOCK_INDEX => format!(
            "entry of type {kind:#06x} where {wanted} should come: this looks like an .ere file, which is read by \
             the index at its end; name the file itself (no pipe), and see whether its end is missing"
        ),
        _ => format!("entry of type {kind:#06x} where {wanted} should come"),
    }
}

impl<R: Read> Iterator for Era1Reader<R> {
    type Item = Result<RawBlock, FormatError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let block = self.block().transpose();
        self.ended = !matches!(block, Some(Ok(_)));
        block
    }
}

/// Writes one era1 file: [`Era1Writer::push`] each block in order, then [`Era1Writer::finish`].
#[derive(Debug)]
pub struct Era1Writer<W> {
    out: W,
    position: u64,
    first_number: u64,
    offsets: Vec<u64>,
    records: Vec<HeaderRecord>,
}

impl<W: Write> Era1Writer<W> {
    /// Begins a file whose first block is `first_number`.
    pub fn new(mut out: W, first_number: u64) -> io::Result<Self> {
        let position = write_entry(&mut out, VERSION, &[])?;
        Ok(Self { out, position, first_number, offsets: Vec::new(), records: Vec::new() })
    }

    /// Adds a block: its RLP, its receipts in the consensus form as an RLP list, its total difficulty.
    pub fn push(&mut self, block_rlp: &[u8], receipts_rlp: &[u8], total_difficulty: U256) -> io::Result<()> {
        let (header, body) = split_block(block_rlp).map_err(io::Error::other)?;
        self.offsets.push(self.position);
        self.records.push(HeaderRecord { block_hash: keccak256(header), total_difficulty });
        self.entry(COMPRESSED_HEADER, &frame(header)?)?;
        self.entry(COMPRESSED_BODY, &frame(&super::list_of(&[body]))?)?;
        self.entry(COMPRESSED_RECEIPTS, &frame(receipts_rlp)?)?;
        self.entry(TOTAL_DIFFICULTY, &total_difficulty.to_le_bytes::<32>())
    }

    /// Writes accumulator and index; returns the accumulator root and the writer.
    pub fn finish(mut self) -> io::Result<(B256, W)> {
        let root = accumulator_root(&self.records);
        self.entry(ACCUMULATOR, root.as_slice())?;
        let mut index = Vec::with_capacity(8 * (self.offsets.len() + 2));
        index.extend_from_slice(&self.first_number.to_le_bytes());
        for offset in &self.offsets {
            // relative to the index entry itself, which comes after all blocks: negative, two's complement
            index.extend_from_slice(&offset.wrapping_sub(self.position).to_le_bytes());
        }
        index.extend_from_slice(&(self.offsets.len() as u64).to_le_bytes());
        self.entry(BLOCK_INDEX, &index)?;
        Ok((root, self.out))
    }

    fn entry(&mut self, kind: u16, data: &[u8]) -> io::Result<()> {
        self.position += write_entry(&mut self.out, kind, data)?;
        Ok(())
    }
}
