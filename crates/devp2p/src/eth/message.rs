use super::raw::{self, Items, Kind};
use super::{
    ANNOUNCED_MAX, BLOCK_HASHES_MAX, BlockRange, CellMask, EthError, EthVersion, NotInVersion, Request, Response,
    Status, TRANSACTIONS_MAX, ids,
};
use alloy_primitives::{B256, BlockNumber, Bytes, U256};
use alloy_rlp::{Decodable, Encodable, Header, RlpDecodable, RlpEncodable};

/// Any message of `eth`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EthMessage {
    /// The first message each way.
    Status(Status),
    /// A question.
    Request {
        /// What the answer will be known by.
        id: u64,
        /// What is asked.
        request: Request,
    },
    /// An answer.
    Response {
        /// The id of the question.
        id: u64,
        /// What is answered.
        response: Response,
    },
    /// Transactions, in full: a list in the oldest type, a string with the envelope since.
    Transactions(Vec<Bytes>),
    /// Transactions that can be asked for.
    NewPooledTransactionHashes(PooledHashes),
    /// What the peer can serve now; since eth/69.
    BlockRangeUpdate(BlockRange),
    /// Blocks just sealed, by name. Belongs to chains without a consensus layer: eth/68 has it, and on a chain that
    /// has merged whoever sends it breaks the rules (EIP-3675), which the caller must judge.
    NewBlockHashes(Vec<BlockId>),
    /// A block just sealed. As [`Self::NewBlockHashes`].
    NewBlock(NewBlock),
}

/// A block by both its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct BlockId {
    /// Hash of the header.
    pub hash: B256,
    /// Height.
    pub number: BlockNumber,
}

/// A block just sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBlock {
    /// The block: list of header, transactions, ommers.
    pub block: Bytes,
    /// Sum of the difficulties from genesis to this block, by the sender's word.
    pub total_difficulty: U256,
}

/// Announced transactions; the three lists are of equal length.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PooledHashes {
    /// EIP-2718 types.
    pub types: Vec<u8>,
    /// Sizes in the network's form, in bytes: since eth/72 without blobs.
    pub sizes: Vec<u32>,
    /// Hashes.
    pub hashes: Vec<B256>,
    /// Since eth/72, and always then: the columns that the sender has of the blobs of all of them; empty if none has
    /// blobs.
    pub mask: Option<CellMask>,
}

/// The request id of an answer, read without touching the rest of it. Nothing when the message is no answer.
///
/// An answer to nothing that was asked need not be decoded to be dropped.
pub fn request_id(message_id: u8, payload: &[u8]) -> Option<Result<u64, EthError>> {
    is_response(message_id).then(|| {
        let mut buf = payload;
        open(&mut buf).map(|(id, _)| id).map_err(|error| EthError::Rlp { id: message_id, error })
    })
}

fn is_request(message_id: u8) -> bool {
    use ids::*;
    matches!(
        message_id,
        GET_BLOCK_HEADERS
            | GET_BLOCK_BODIES
            | GET_POOLED_TRANSACTIONS
            | GET_RECEIPTS
            | GET_BLOCK_ACCESS_LISTS
            | GET_CELLS
    )
}

fn is_response(message_id: u8) -> bool {
    use ids::{BLOCK_ACCESS_LISTS, BLOCK_BODIES, BLOCK_HEADERS, CELLS, POOLED_TRANSACTIONS, RECEIPTS};
    matches!(message_id, BLOCK_HEADERS | BLOCK_BODIES | POOLED_TRANSACTIONS | RECEIPTS | BLOCK_ACCESS_LISTS | CELLS)
}

/// Opens a message with a request id: the id and what follows it. Nothing may come after the list.
fn open<'a>(buf: &mut &'a [u8]) -> alloy_rlp::Result<(u64, &'a [u8])> {
    let mut list = Header::decode_bytes(buf, true)?;
    raw::end(buf)?;
    let id = u64::decode(&mut list)?;
    Ok((id, list))
}

impl EthMessage {
    /// The message id within `eth`.
    pub fn message_id(&self) -> u8 {
        match self {
            Self::Status(_) => ids::STATUS,
            Self::NewBlockHashes(_) => ids::NEW_BLOCK_HASHES,
            Self::Transactions(_) => ids::TRANSACTIONS,
            Self::Request { request, .. } => request.message_id(),
            Self::Response { response, .. } => response.message_id(),
            Self::NewBlock(_) => ids::NEW_BLOCK,
            Self::NewPooledTransactionHashes(_) => ids::NEW_POOLED_TRANSACTION_HASHES,
            Self::BlockRangeUpdate(_) => ids::BLOCK_RANGE_UPDATE,
        }
    }

    /// Appends the payload to `out` and gives the message id to send it under. On error `out` is untouched.
    pub fn encode(&self, version: EthVersion, out: &mut Vec<u8>) -> Result<u8, NotInVersion> {
        let id = self.message_id();
        if !exists(version, id) || matches!(self, Self::Status(status) if !status.is_of(version)) {
            return Err(NotInVersion { version, id });
        }
        match self {
            Self::Status(status) => status.encode(version, out),
            Self::NewBlockHashes(blocks) => blocks.encode(out),
            Self::Transactions(transactions) => raw::encode_items(transactions, out),
            Self::Request { id, request } => request.encode(*id, version, out),
            Self::Response { id, response } => response.encode(*id, version, out),
            Self::NewBlock(block) => block.encode(out),
            Self::NewPooledTransactionHashes(announced) => announced.encode(version, out),
            Self::BlockRangeUpdate(range) => range.encode(out),
        }
        Ok(id)
    }

    /// Reads a message. Limits of the module hold; the raw items of the result are slices of `payload`.
    pub fn decode(version: EthVersion, message_id: u8, payload: &Bytes) -> Result<Self, EthError> {
        if !exists(version, message_id) {
            return Err(EthError::UnknownMessage { version, id: message_id });
        }
        let rlp = |error| EthError::Rlp { id: message_id, error };
        let mut buf: &[u8] = payload;
        let message = match message_id {
            ids::STATUS => return Status::decode(version, payload).map(Self::Status),
            id if is_request(id) => {
                let (id, mut list) = open(&mut buf).map_err(rlp)?;
                let request = Request::decode(version, message_id, &mut list).map_err(rlp)?;
                raw::end(list).map_err(rlp)?;
                Self::Request { id, request }
            }
            id if is_response(id) => {
                let (id, mut list) = open(&mut buf).map_err(rlp)?;
                let response = Response::decode(version, message_id, payload, &mut list)?;
                raw::end(list).map_err(rlp)?;
                Self::Response { id, response }
            }
            ids::TRANSACTIONS => match raw::items(payload, &mut buf, Kind::Envelope, TRANSACTIONS_MAX).map_err(rlp)? {
                Items::All(transactions) => Self::Transactions(transactions),
                Items::TooMany => return Err(EthError::TooMany { what: "transactions", max: TRANSACTIONS_MAX }),
            },
            ids::NEW_POOLED_TRANSACTION_HASHES => {
                Self::NewPooledTransactionHashes(PooledHashes::decode(version, &mut buf).map_err(rlp)??)
            }
            ids::BLOCK_RANGE_UPDATE => Self::BlockRangeUpdate(Decodable::decode(&mut buf).map_err(rlp)?),
            ids::NEW_BLOCK_HASHES => Self::NewBlockHashes(decode_block_ids(&mut buf).map_err(rlp)??),
            ids::NEW_BLOCK => Self::NewBlock(NewBlock::decode(payload, &mut buf).map_err(rlp)?),
            id => return Err(EthError::UnknownMessage { version, id }),
        };
        raw::end(buf).map_err(rlp)?;
        Ok(message)
    }
}

/// Whether a version has a message. Versions after eth/68 are spoken on merged chains alone, so block gossip is gone.
fn exists(version: EthVersion, message_id: u8) -> bool {
    match message_id {
        ids::STATUS | ids::TRANSACTIONS | ids::NEW_POOLED_TRANSACTION_HASHES => true,
        ids::NEW_BLOCK_HASHES | ids::NEW_BLOCK => version == EthVersion::V68,
        ids::BLOCK_RANGE_UPDATE => version >= EthVersion::V69,
        ids::GET_BLOCK_ACCESS_LISTS | ids::BLOCK_ACCESS_LISTS => version >= EthVersion::V71,
        ids::GET_CELLS | ids::CELLS => version.has_cells(),
        id => is_request(id) || is_response(id),
    }
}

fn decode_block_ids(buf: &mut &[u8]) -> alloy_rlp::Result<Result<Vec<BlockId>, EthError>> {
    let mut list = Header::decode_bytes(buf, true)?;
    let mut blocks = Vec::new();
    while !list.is_empty() {
        if blocks.len() == BLOCK_HASHES_MAX {
            return Ok(Err(EthError::TooMany { what: "block hashes", max: BLOCK_HASHES_MAX }));
        }
        blocks.push(BlockId::decode(&mut list)?);
    }
    Ok(Ok(blocks))
}

impl NewBlock {
    fn encode(&self, out: &mut Vec<u8>) {
        Header { list: true, payload_length: self.block.len() + self.total_difficulty.length() }.encode(out);
        out.extend_from_slice(&self.block);
        self.total_difficulty.encode(out);
    }

    fn decode(message: &Bytes, buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let mut list = Header::decode_bytes(buf, true)?;
        let block = raw::item(message, &mut list, Kind::List)?;
        let total_difficulty = Decodable::decode(&mut list)?;
        raw::end(list)?;
        Ok(Self { block, total_difficulty })
    }
}

impl PooledHashes {
    fn encode(&self, version: EthVersion, out: &mut Vec<u8>) {
        let types: &[u8] = &self.types;
        let mask = version.has_cells().then(|| self.mask.unwrap_or_default());
        let mask_length = mask.map_or(0, |mask| mask.length());
        let payload_length = types.length() + self.sizes.length() + self.hashes.length() + mask_length;
        Header { list: true, payload_length }.encode(out);
        types.encode(out);
        self.sizes.encode(out);
        self.hashes.encode(out);
        if let Some(mask) = mask {
            mask.encode(out);
        }
    }

    /// Reads at most [`ANNOUNCED_MAX`] of each; the numbers are compared before anything is dropped.
    fn decode(version: EthVersion, buf: &mut &[u8]) -> alloy_rlp::Result<Result<Self, EthError>> {
        let mut list = Header::decode_bytes(buf, true)?;
        let types = Header::decode_bytes(&mut list, false)?;
        let mut rest = Header::decode_bytes(&mut list, true)?;
        let (hashes, hashes_count) = raw::hashes(&mut list, ANNOUNCED_MAX)?;
        let mask = version.has_cells().then(|| CellMask::decode_or_nothing(&mut list)).transpose()?;
        raw::end(list)?;
        let mut sizes = Vec::with_capacity(hashes.len());
        let mut sizes_count = 0;
        // A hash takes 33 bytes, a size may take one: stop where the numbers differ for certain.
        while !rest.is_empty() && sizes_count <= hashes_count {
            let size = u32::decode(&mut rest)?;
            sizes_count += 1;
            if sizes.len() < ANNOUNCED_MAX {
                sizes.push(size);
            }
        }
        if types.len() != hashes_count || sizes_count != hashes_count {
            let types = types.len();
            return Ok(Err(EthError::UnevenAnnouncement { types, sizes: sizes_count, hashes: hashes_count }));
        }
        let types = types.iter().copied().take(ANNOUNCED_MAX).collect();
        Ok(Ok(Self { types, sizes, hashes, mask }))
    }
}
