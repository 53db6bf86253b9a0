use super::{BLOCKS_MAX, EthVersion, GetCells, POOLED_HASHES_MAX, ids, raw};
use alloy_primitives::{B256, BlockNumber};
use alloy_rlp::{Decodable, Encodable, Error, Header, Result};

/// What one side asks of the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Headers along the chain.
    BlockHeaders(GetBlockHeaders),
    /// Bodies of blocks, by hash.
    BlockBodies(Vec<B256>),
    /// Transactions of the pool, by hash.
    PooledTransactions(Vec<B256>),
    /// Receipts of blocks, by hash.
    Receipts(GetReceipts),
    /// Access lists of blocks, by hash; since eth/71.
    BlockAccessLists(Vec<B256>),
    /// Cells of blobs; since eth/72.
    Cells(GetCells),
}

/// Headers along the canonical chain, at regular steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetBlockHeaders {
    /// The first header.
    pub start: HashOrNumber,
    /// How many at most.
    pub limit: u64,
    /// Blocks left out between two headers.
    pub skip: u64,
    /// Towards genesis instead of away from it.
    pub reverse: bool,
}

/// A block, named one way or the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HashOrNumber {
    /// By hash.
    Hash(B256),
    /// By height on the canonical chain.
    Number(BlockNumber),
}

/// Receipts of blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetReceipts {
    /// How many receipts of the first block are had already. Zero before eth/70, which cannot say it.
    pub first_block_receipt_index: u64,
    /// The blocks.
    pub hashes: Vec<B256>,
}

impl Request {
    /// The message id.
    pub fn message_id(&self) -> u8 {
        match self {
            Self::BlockHeaders(_) => ids::GET_BLOCK_HEADERS,
            Self::BlockBodies(_) => ids::GET_BLOCK_BODIES,
            Self::PooledTransactions(_) => ids::GET_POOLED_TRANSACTIONS,
            Self::Receipts(_) => ids::GET_RECEIPTS,
            Self::BlockAccessLists(_) => ids::GET_BLOCK_ACCESS_LISTS,
            Self::Cells(_) => ids::GET_CELLS,
        }
    }

    /// The message id that an answer comes under.
    pub fn response_id(&self) -> u8 {
        self.message_id() + 1
    }

    pub(super) fn encode(&self, id: u64, version: EthVersion, out: &mut Vec<u8>) {
        match self {
            Self::BlockHeaders(request) => encode_pair(&id, request, out),
            Self::BlockBodies(hashes) | Self::PooledTransactions(hashes) | Self::BlockAccessLists(hashes) => {
                encode_pair(&id, hashes, out);
            }
            Self::Receipts(request) if version >= EthVersion::V70 => {
                let first = request.first_block_receipt_index;
                let payload_length = id.length() + first.length() + request.hashes.length();
                Header { list: true, payload_length }.encode(out);
                id.encode(out);
                first.encode(out);
                request.hashes.encode(out);
            }
            Self::Receipts(request) => encode_pair(&id, &request.hashes, out),
            Self::Cells(request) => request.encode(id, out),
        }
    }

    /// Reads what follows the request id, for one of the request messages.
    pub(super) fn decode(version: EthVersion, message_id: u8, buf: &mut &[u8]) -> Result<Self> {
        let hashes = |buf: &mut &[u8], max| raw::hashes(buf, max).map(|(hashes, _)| hashes);
        Ok(match message_id {
            ids::GET_BLOCK_HEADERS => Self::BlockHeaders(Decodable::decode(buf)?),
            ids::GET_BLOCK_BODIES => Self::BlockBodies(hashes(buf, BLOCKS_MAX)?),
            ids::GET_BLOCK_ACCESS_LISTS => Self::BlockAccessLists(hashes(buf, BLOCKS_MAX)?),
            ids::GET_CELLS => Self::Cells(GetCells::decode(buf)?),
            ids::GET_POOLED_TRANSACTIONS => Self::PooledTransactions(hashes(buf, POOLED_HASHES_MAX)?),
            _ => Self::Receipts(GetReceipts {
                first_block_receipt_index: if version >= EthVersion::V70 { Decodable::decode(buf)? } else { 0 },
                hashes: hashes(buf, BLOCKS_MAX)?,
            }),
        })
    }
}

fn encode_pair(id: &u64, body: &impl Encodable, out: &mut Vec<u8>) {
    Header { list: true, payload_length: id.length() + body.length() }.encode(out);
    id.encode(out);
    body.encode(out);
}

impl GetBlockHeaders {
    fn payload_length(&self) -> usize {
        self.start.length() + self.limit.length() + self.skip.length() + self.reverse.length()
    }
}

impl Encodable for GetBlockHeaders {
    fn encode(&self, out: &mut dyn alloy_rlp::BufMut) {
        Header { list: true, payload_length: self.payload_length() }.encode(out);
        self.start.encode(out);
        self.limit.encode(out);
        self.skip.encode(out);
        self.reverse.encode(out);
    }

    fn length(&self) -> usize {
        let payload = self.payload_length();
        payload + alloy_rlp::length_of_length(payload)
    }
}

impl Decodable for GetBlockHeaders {
    fn decode(buf: &mut &[u8]) -> Result<Self> {
        let mut list = Header::decode_bytes(buf, true)?;
        let request = Self {
            start: Decodable::decode(&mut list)?,
            limit: Decodable::decode(&mut list)?,
            skip: Decodable::decode(&mut list)?,
            reverse: Decodable::decode(&mut list)?,
        };
        raw::end(list)?;
        Ok(request)
    }
}

impl Encodable for HashOrNumber {
    fn encode(&self, out: &mut dyn alloy_rlp::BufMut) {
        match self {
            Self::Hash(hash) => hash.encode(out),
            Self::Number(number) => number.encode(out),
        }
    }

    fn length(&self) -> usize {
        match self {
            Self::Hash(hash) => hash.length(),
            Self::Number(number) => number.length(),
        }
    }
}

impl Decodable for HashOrNumber {
    /// Thirty-two bytes are a hash, at most eight a number; nothing lies between.
    fn decode(buf: &mut &[u8]) -> Result<Self> {
        match buf.first() {
            Some(0xa0) => B256::decode(buf).map(Self::Hash),
            Some(0..=0x88) => u64::decode(buf).map(Self::Number),
            Some(_) => Err(Error::UnexpectedLength),
            None => Err(Error::InputTooShort),
        }
    }
}
