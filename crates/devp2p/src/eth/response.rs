use super::raw::{self, Items, Kind};
use super::{BLOCKS_MAX, Cells, EthError, EthVersion, TRANSACTIONS_MAX, ids};
use alloy_primitives::Bytes;
use alloy_rlp::{Decodable, Encodable, Header};

/// An answer: RLP items in the order they were asked for, as they came or as they shall go. What the answerer does
/// not have is left out, but for access lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// Headers.
    BlockHeaders(Vec<Bytes>),
    /// Bodies: lists of transactions, ommers and, since Shanghai, withdrawals.
    BlockBodies(Vec<Bytes>),
    /// Transactions in the network's form: a list in the oldest type, a string with the envelope since.
    PooledTransactions(Vec<Bytes>),
    /// Receipts.
    Receipts(Receipts),
    /// Access lists of blocks, since eth/71: one item for each hash as far as the answer goes, the empty string
    /// ([`NO_ACCESS_LIST`]) where there is none.
    BlockAccessLists(Vec<Bytes>),
    /// Cells of blobs, since eth/72; what the answerer does not have, transactions or columns, is left out.
    Cells(Cells),
}

/// In place of an access list that the answerer does not have; an empty list is one of a block.
pub const NO_ACCESS_LIST: Bytes = Bytes::from_static(&[alloy_rlp::EMPTY_STRING_CODE]);

/// Receipts of blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipts {
    /// The last list does not reach the end of its block. Never before eth/70, which cannot say it.
    pub last_block_incomplete: bool,
    /// The receipts of each block: a list in the form of the version ([`decode_receipts`](super::decode_receipts)).
    pub lists: Vec<Bytes>,
}

impl Response {
    /// The message id.
    pub fn message_id(&self) -> u8 {
        match self {
            Self::BlockHeaders(_) => ids::BLOCK_HEADERS,
            Self::BlockBodies(_) => ids::BLOCK_BODIES,
            Self::PooledTransactions(_) => ids::POOLED_TRANSACTIONS,
            Self::Receipts(_) => ids::RECEIPTS,
            Self::BlockAccessLists(_) => ids::BLOCK_ACCESS_LISTS,
            Self::Cells(_) => ids::CELLS,
        }
    }

    /// The items, of whatever kind.
    pub fn items(&self) -> &[Bytes] {
        match self {
            Self::BlockHeaders(items)
            | Self::BlockBodies(items)
            | Self::PooledTransactions(items)
            | Self::BlockAccessLists(items) => items,
            Self::Receipts(receipts) => &receipts.lists,
            Self::Cells(cells) => &cells.lists,
        }
    }

    pub(super) fn encode(&self, id: u64, version: EthVersion, out: &mut Vec<u8>) {
        let incomplete = match self {
            Self::Cells(cells) => return cells.encode(id, out),
            Self::Receipts(receipts) if version >= EthVersion::V70 => Some(receipts.last_block_incomplete),
            _ => None,
        };
        let items = self.items();
        let payload_length = id.length() + incomplete.map_or(0, |flag| flag.length()) + raw::items_length(items);
        out.reserve(payload_length + 9);
        Header { list: true, payload_length }.encode(out);
        id.encode(out);
        if let Some(flag) = incomplete {
            flag.encode(out);
        }
        raw::encode_items(items, out);
    }

    /// Reads what follows the request id, for one of the response messages.
    pub(super) fn decode(
        version: EthVersion,
        message_id: u8,
        message: &Bytes,
        buf: &mut &[u8],
    ) -> Result<Self, EthError> {
        if message_id == ids::CELLS {
            return Cells::decode(message, buf).map(Self::Cells);
        }
        let rlp = |error| EthError::Rlp { id: message_id, error };
        let (kind, max, what) = match message_id {
            ids::BLOCK_HEADERS => (Kind::List, BLOCKS_MAX, "headers"),
            ids::BLOCK_BODIES => (Kind::List, BLOCKS_MAX, "bodies"),
            ids::POOLED_TRANSACTIONS => (Kind::Envelope, TRANSACTIONS_MAX, "transactions"),
            ids::BLOCK_ACCESS_LISTS => (Kind::ListOrNothing, BLOCKS_MAX, "access lists"),
            _ => (Kind::List, BLOCKS_MAX, "receipt lists"),
        };
        let paginated = message_id == ids::RECEIPTS && version >= EthVersion::V70;
        let last_block_incomplete = if paginated { bool::decode(buf).map_err(rlp)? } else { false };
        let items = match raw::items(message, buf, kind, max).map_err(rlp)? {
            Items::All(items) => items,
            Items::TooMany => return Err(EthError::TooMany { what, max }),
        };
        Ok(match message_id {
            ids::BLOCK_HEADERS => Self::BlockHeaders(items),
            ids::BLOCK_BODIES => Self::BlockBodies(items),
            ids::POOLED_TRANSACTIONS => Self::PooledTransactions(items),
            ids::BLOCK_ACCESS_LISTS => Self::BlockAccessLists(items),
            _ => Self::Receipts(Receipts { last_block_incomplete, lists: items }),
        })
    }
}
