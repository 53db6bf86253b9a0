//! ere: up to 8192 blocks of any era. All headers come first, then all bodies, then what else there is, and an
//! index at the end says where each part of each block lies.
//!
//! ```text
//! Version Header+ Body+ SlimReceipts* Proof* TotalDifficulty* other* Accumulator? DynamicBlockIndex
//! ```
//!
//! <https://github.com/eth-clients/e2store-format-specs/blob/main/formats/ere.md>

use super::{
    BLOCK_SIZE_BYTES_MAX, FormatError, RawBlock,
    e2store::{
        COMPRESSED_BODY, COMPRESSED_HEADER, DYNAMIC_BLOCK_INDEX, ENTRY_HEAD_SIZE_BYTES, EPOCH_BLOCKS, EntryReader,
        unframe,
    },
    join_block, peek_block,
};
use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    sync::Arc,
};

/// A block has a header and a body, and may have receipts, total difficulty and proof.
const COMPONENTS: std::ops::RangeInclusive<u64> = 2..=5;

/// Reads the blocks that a file's index names. After an error nothing more comes.
#[derive(Debug)]
pub struct EreReader {
    file: File,
    name: Arc<str>,
    first_number: u64,
    /// Where each block's header and body begin.
    blocks: std::vec::IntoIter<(u64, u64)>,
    count: u64,
    index_at: u64,
    size_bytes: u64,
}

impl EreReader {
    /// Reads the index at the end of a file; none if the file does not end with one.
    pub fn open(file: &mut File, name: &Arc<str>) -> Result<Option<Self>, FormatError> {
        let size_bytes = file.metadata().map_err(|source| FormatError::io(name, 0, source))?.len();
        let Some((index_at, components, count)) = find_index(file, name, size_bytes)? else { return Ok(None) };
        file.seek(SeekFrom::Start(index_at)).map_err(|source| FormatError::io(name, index_at, source))?;
        let mut entries = EntryReader::new(&*file, name, index_at);
        let Some(head) = entries.head()?.filter(|head| head.kind == DYNAMIC_BLOCK_INDEX) else { return Ok(None) };
        let index = entries.data(head)?;
        let words: Vec<u64> =
            index.chunks_exact(8).map(|word| word.iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte))).collect();
        let expected = count * components + 3;
        let (Some(first_number), true) = (words.first().copied(), words.len() as u64 == expected) else {
            let why = format!("the index has {} words, {expected} belong", words.len());
            return Err(FormatError::malformed(name, index_at, why));
        };
        let blocks = words[1..words.len() - 2]
            .chunks_exact(components as usize)
            .map(|parts| (index_at.wrapping_add(parts[0]), index_at.wrapping_add(parts[1])))
            .collect::<Vec<_>>();
        if let Some((header, body)) = blocks.iter().find(|(header, body)| *header >= index_at || *body >= index_at) {
            let why = format!("the index points to {header} and {body}, outside the blocks");
            return Err(FormatError::malformed(name, index_at, why));
        }
        let file = file.try_clone().map_err(|source| FormatError::io(name, 0, source))?;
        let blocks = blocks.into_iter();
        Ok(Some(Self { file, name: name.clone(), first_number, blocks, count, index_at, size_bytes }))
    }

    /// About how many bytes of the file are done; the parts of a block lie far apart.
    pub fn position(&self) -> u64 {
        let left = self.blocks.len() as u64;
        self.size_bytes - self.size_bytes.saturating_mul(left).checked_div(self.count).unwrap_or(0)
    }

    fn block(&mut self, number: u64, header_at: u64, body_at: u64) -> Result<RawBlock, FormatError> {
        let header = self.part(header_at, COMPRESSED_HEADER)?;
        let body = self.part(body_at, COMPRESSED_BODY)?;
        let rlp = join_block(&header, &body).map_err(|error| {
            FormatError::malformed(&self.name, body_at, format!("the body is not one RLP list: {error}"))
        })?;
        match peek_block(&rlp) {
            Ok((got, _)) if got == number => Ok(RawBlock { rlp, offset: header_at }),
            Ok((got, _)) => {
                let why = format!("block {got} where the index has block {number}");
                Err(FormatError::malformed(&self.name, header_at, why))
            }
            Err(error) => {
                Err(FormatError::malformed(&self.name, header_at, format!("the header does not decode: {error}")))
            }
        }
    }

    fn part(&mut self, at: u64, kind: u16) -> Result<Vec<u8>, FormatError> {
        self.file.seek(SeekFrom::Start(at)).map_err(|source| FormatError::io(&self.name, at, source))?;
        let bounded = BufReader::new(&self.file).take(self.index_at - at);
        let mut entries = EntryReader::new(bounded, &self.name, at);
        let head = entries.head()?.filter(|head| head.kind == kind);
        let head = head.ok_or_else(|| {
            FormatError::malformed(&self.name, at, format!("no entry of type {kind:#06x} where the index names one"))
        })?;
        let data = entries.data(head)?;
        unframe(&data, BLOCK_SIZE_BYTES_MAX).map_err(|why| FormatError::malformed(&self.name, at, why))
    }
}

/// Where the index begins, components a block, number of blocks; none if the file's last words cannot be an index's.
fn find_index(file: &mut File, name: &Arc<str>, size_bytes: u64) -> Result<Option<(u64, u64, u64)>, FormatError> {
    /// Components a block, and number of blocks.
    const TAIL_SIZE_BYTES: u64 = 16;
    let Some(tail_at) = size_bytes.checked_sub(TAIL_SIZE_BYTES) else { return Ok(None) };
    let mut tail = [0; TAIL_SIZE_BYTES as usize];
    let read = |file: &mut File, tail: &mut [u8]| -> io::Result<()> {
        file.seek(SeekFrom::Start(tail_at))?;
        file.read_exact(tail)
    };
    read(file, &mut tail).map_err(|source| FormatError::io(name, tail_at, source))?;
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
    let (components, count) = (word(&tail[..8]), word(&tail[8..]));
    if !COMPONENTS.contains(&components) || !(1..=EPOCH_BLOCKS).contains(&count) {
        return Ok(None);
    }
    let index_size_bytes = ENTRY_HEAD_SIZE_BYTES as u64 + 8 * (count * components + 3);
    Ok(size_bytes.checked_sub(index_size_bytes).map(|at| (at, components, count)))
}

impl Iterator for EreReader {
    type Item = Result<RawBlock, FormatError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (header_at, body_at) = self.blocks.next()?;
        let number = self.first_number.wrapping_add(self.count - 1 - self.blocks.len() as u64);
        let block = self.block(number, header_at, body_at);
        if block.is_err() {
            self.blocks = Vec::new().into_iter();
        }
        Some(block)
    }
}
