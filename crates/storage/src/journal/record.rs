//! Payloads of journal records.
//!
//! ```text
//! Block     number u64 · hash · total difficulty? · header RLP · rows, patches ([`crate::rows`]) · body ([`Body`])
//! Head      head · safe? · finalized?          each number u64 · hash; a flag byte before the optional ones
//! Rollback  to
//! ```

use crate::{
    BlockRecord, HeadRecord,
    codec::{Malformed, Reader, put_amount, put_bytes},
    rows,
};
use alloy_rlp::{Decodable, Encodable};
use starling_primitives::{Address, BlockRef, Bytes, Header, U256};
use std::ops::Range;

/// A Block record taken apart.
#[derive(Debug)]
pub(crate) struct BlockPayload {
    pub(crate) block: BlockRef,
    pub(crate) header: Header,
    pub(crate) total_difficulty: Option<U256>,
    /// Within the payload.
    pub(crate) parts: BlockParts,
}

/// Where the large parts of a Block record are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlockParts {
    pub(crate) rows: Range<usize>,
    pub(crate) patches: Range<usize>,
    pub(crate) body: Range<usize>,
}

/// What is not held in memory: read back when somebody asks for the block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Body {
    pub(crate) rlp: Bytes,
    pub(crate) senders: Vec<Address>,
    pub(crate) receipts: Bytes,
    pub(crate) access_list: Option<Bytes>,
}

/// Appends a Block payload; its parts within the buffer.
pub(crate) fn encode_block(out: &mut Vec<u8>, record: &BlockRecord) -> BlockParts {
    put_block_ref(out, &record.block);
    out.push(u8::from(record.total_difficulty.is_some()));
    if let Some(total_difficulty) = &record.total_difficulty {
        put_amount(out, total_difficulty);
    }
    put_bytes_with(out, |out| record.header.encode(out));
    let rows = put_bytes_with(out, |out| rows::encode(out, &record.tx_hashes, &record.diff, &record.branches));
    let patches = put_bytes_with(out, |out| rows::encode_patches(out, &record.branches));
    let body = put_bytes_with(out, |out| encode_body(out, record));
    BlockParts { rows, patches, body }
}

/// Appends what `write` appends, behind its length; the range of it.
fn put_bytes_with(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> Range<usize> {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    let length = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&length.to_le_bytes());
    at + 4..out.len()
}

fn encode_body(out: &mut Vec<u8>, record: &BlockRecord) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    put_bytes(out, &record.rlp);
    put_bytes_with(out, |out| record.senders.iter().for_each(|sender| out.extend_from_slice(sender.as_slice())));
    put_bytes(out, &record.receipts);
    out.push(u8::from(record.access_list.is_some()));
    if let Some(access_list) = &record.access_list {
        put_bytes(out, access_list);
    }
    // a checksum of its own: the body is read back alone, long after the record's checksum was looked at
    let crc = crc32fast::hash(&out[at + 4..]);
    out[at..at + 4].copy_from_slice(&crc.to_le_bytes());
}

/// Takes a Block payload apart.
pub(crate) fn decode_block(payload: &[u8]) -> Result<BlockPayload, Malformed> {
    let reader = &mut Reader::new(payload);
    let block = block_ref(reader)?;
    let total_difficulty = if reader.u8()? != 0 { Some(reader.amount()?) } else { None };
    let header = Header::decode(&mut reader.bytes()?).map_err(|_| Malformed("header"))?;
    let parts = BlockParts { rows: bytes_range(reader)?, patches: bytes_range(reader)?, body: bytes_range(reader)? };
    if !reader.is_empty() {
        return Err(Malformed("block record"));
    }
    Ok(BlockPayload { block, header, total_difficulty, parts })
}

fn bytes_range(reader: &mut Reader<'_>) -> Result<Range<usize>, Malformed> {
    let length = reader.bytes()?.len();
    Ok(reader.offset() - length..reader.offset())
}

/// Reads the body's bytes.
pub(crate) fn decode_body(bytes: &[u8]) -> Result<Body, Malformed> {
    let reader = &mut Reader::new(bytes);
    if reader.u32()? != crc32fast::hash(bytes.get(4..).unwrap_or_default()) {
        return Err(Malformed("body checksum"));
    }
    let rlp = Bytes::copy_from_slice(reader.bytes()?);
    let senders = decode_senders(reader.bytes()?)?;
    let receipts = Bytes::copy_from_slice(reader.bytes()?);
    let access_list = if reader.u8()? != 0 { Some(Bytes::copy_from_slice(reader.bytes()?)) } else { None };
    Ok(Body { rlp, senders, receipts, access_list })
}

/// Reads addresses laid end to end.
pub(crate) fn decode_senders(bytes: &[u8]) -> Result<Vec<Address>, Malformed> {
    let chunks = bytes.chunks_exact(20);
    if !chunks.remainder().is_empty() {
        return Err(Malformed("senders"));
    }
    Ok(chunks.map(Address::from_slice).collect())
}

/// Appends a Head payload.
pub(crate) fn encode_head(out: &mut Vec<u8>, record: &HeadRecord) {
    put_block_ref(out, &record.head);
    for block in [&record.safe, &record.finalized] {
        out.push(u8::from(block.is_some()));
        if let Some(block) = block {
            put_block_ref(out, block);
        }
    }
}

/// Reads a Head payload.
pub(crate) fn decode_head(reader: &mut Reader<'_>) -> Result<HeadRecord, Malformed> {
    let head = block_ref(reader)?;
    let mut optional = || if reader.u8()? != 0 { block_ref(reader).map(Some) } else { Ok(None) };
    Ok(HeadRecord { head, safe: optional()?, finalized: optional()? })
}

/// Appends a block's place.
pub(crate) fn put_block_ref(out: &mut Vec<u8>, block: &BlockRef) {
    out.extend_from_slice(&block.number.to_le_bytes());
    out.extend_from_slice(block.hash.as_slice());
}

/// Reads a block's place.
pub(crate) fn block_ref(reader: &mut Reader<'_>) -> Result<BlockRef, Malformed> {
    Ok(BlockRef::new(reader.u64()?, reader.hash()?))
}
