//! Blocks' RLP, one after the other, nothing between: what `geth import` reads and `geth export` writes.

use super::{BLOCK_SIZE_BYTES_MAX, FormatError, RawBlock};
use std::{io::Read, sync::Arc};

/// Reads blocks from a stream of RLP lists. After an error nothing more comes.
#[derive(Debug)]
pub struct RlpStream<R> {
    input: R,
    file: Arc<str>,
    position: u64,
    ended: bool,
}

impl<R: Read> RlpStream<R> {
    /// Reads from the first byte of `input`.
    pub fn new(input: R, file: &Arc<str>) -> Self {
        Self { input, file: file.clone(), position: 0, ended: false }
    }

    /// Bytes read so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    fn block(&mut self) -> Result<Option<RawBlock>, FormatError> {
        let offset = self.position;
        let mut rlp = Vec::new();
        self.read(&mut rlp, 1)?;
        let Some(&first) = rlp.first() else { return Ok(None) };
        let payload = match first {
            0xc0..=0xf7 => u64::from(first - 0xc0),
            0xf8..=0xff => self.long_length(offset, &mut rlp, first - 0xf7)?,
            _ => {
                let why = format!("a block is an RLP list, and no list begins with byte {first:#04x}");
                return Err(self.malformed(offset, why));
            }
        };
        if payload > BLOCK_SIZE_BYTES_MAX {
            return Err(self.malformed(offset, format!("a block of {payload} bytes, more than {BLOCK_SIZE_BYTES_MAX}")));
        }
        let head = rlp.len() as u64;
        self.read(&mut rlp, payload)?;
        let held = rlp.len() as u64 - head;
        if held != payload {
            return Err(
                self.malformed(offset, format!("the block claims {payload} bytes and the file ends after {held}"))
            );
        }
        Ok(Some(RawBlock { rlp: rlp.into(), offset }))
    }

    /// A length that is written out in `size` bytes, big-endian, without leading zeros.
    fn long_length(&mut self, offset: u64, rlp: &mut Vec<u8>, size: u8) -> Result<u64, FormatError> {
        self.read(rlp, u64::from(size))?;
        let digits = &rlp[1..];
        if digits.len() != usize::from(size) {
            return Err(self.malformed(offset, "the file ends within a block's length"));
        }
        if digits.first() == Some(&0) {
            return Err(self.malformed(offset, "a block's length has leading zeros"));
        }
        Ok(digits.iter().fold(0, |length, digit| length << 8 | u64::from(*digit)))
    }

    fn read(&mut self, out: &mut Vec<u8>, size_bytes: u64) -> Result<(), FormatError> {
        let read = (&mut self.input)
            .take(size_bytes)
            .read_to_end(out)
            .map_err(|source| FormatError::io(&self.file, self.position, source))?;
        self.position += read as u64;
        Ok(())
    }

    fn malformed(&self, offset: u64, why: impl Into<String>) -> FormatError {
        FormatError::malformed(&self.file, offset, why)
    }
}

impl<R: Read> Iterator for RlpStream<R> {
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
