//! The `eth` protocol: chain data and transactions between execution nodes, versions 68 to 72.
//!
//! The connection opens with one Status each way ([`Status`], [`Status::check`]). Then either side asks
//! ([`Request`]), answers ([`Response`], with the id of the request) and gossips (the other [`EthMessage`]s).
//!
//! Chain data stays raw: headers, bodies, receipt lists and transactions are slices of the message that carried them,
//! checked only to be RLP items of the right kind. Whoever wants to believe one must hash these very bytes, and
//! whoever serves them has them as bytes, so neither pays for a decode and a second encoding. A slice keeps its whole
//! message in memory (at most [`MESSAGE_BYTES_MAX`]); what is kept for long is to be copied.
//!
//! A message that cannot be decoded, or exceeds a limit, breaks the rules: [`EthError`]. An answer to
//! nothing that was asked can be found out by [`request_id`] before it costs anything.

mod cell_mask;
mod cells;
mod message;
mod raw;
mod receipts;
mod request;
mod response;
mod status;
mod version;

pub use cell_mask::{CELL_BYTES, COLUMNS, COLUMNS_TO_RECOVER, CellMask};
pub use cells::{Cells, GetCells, cells_of, encode_cells};
pub use message::{BlockId, EthMessage, NewBlock, PooledHashes, request_id};
pub use receipts::{decode_receipts, encode_receipts};
pub use request::{GetBlockHeaders, GetReceipts, HashOrNumber, Request};
pub use response::{NO_ACCESS_LIST, Receipts, Response};
pub use status::{BlockRange, InvalidRange, Status, Status68, Status69, StatusError};
pub use version::EthVersion;

/// The largest message, decompressed. The specification calls it the practical limit.
pub const MESSAGE_BYTES_MAX: usize = 10 * 1024 * 1024;
/// The most headers, bodies, receipt lists or access lists in an answer, and the most block hashes read from a request; hashes
/// after these are not served.
pub const BLOCKS_MAX: usize = 1024;
/// The most transactions in one Transactions or PooledTransactions message.
pub const TRANSACTIONS_MAX: usize = 5000;
/// The most transactions that one request may ask for; hashes after these are not served.
pub const POOLED_HASHES_MAX: usize = 256;
/// The most announced transactions read from one message; those after them are skipped, which the specification
/// calls a soft limit.
pub const ANNOUNCED_MAX: usize = 4096;
/// The most transactions whose cells one request may ask for, and the most in an answer; hashes after these are not
/// served.
pub const CELLS_HASHES_MAX: usize = 64;
/// The most hashes in one NewBlockHashes message.
pub const BLOCK_HASHES_MAX: usize = 256;
/// What an answer should stay below, in bytes; the item that crosses the line is still sent.
pub const SOFT_RESPONSE_BYTES: usize = 2 * 1024 * 1024;

/// Message ids, counted from the first of `eth`.
pub mod ids {
    /// The first message each way.
    pub const STATUS: u8 = 0x00;
    /// Gossip of sealed blocks, before the merge only.
    pub const NEW_BLOCK_HASHES: u8 = 0x01;
    /// Whole transactions.
    pub const TRANSACTIONS: u8 = 0x02;
    /// Request.
    pub const GET_BLOCK_HEADERS: u8 = 0x03;
    /// Response.
    pub const BLOCK_HEADERS: u8 = 0x04;
    /// Request.
    pub const GET_BLOCK_BODIES: u8 = 0x05;
    /// Response.
    pub const BLOCK_BODIES: u8 = 0x06;
    /// Gossip of sealed blocks, before the merge only.
    pub const NEW_BLOCK: u8 = 0x07;
    /// Announced transactions.
    pub const NEW_POOLED_TRANSACTION_HASHES: u8 = 0x08;
    /// Request.
    pub const GET_POOLED_TRANSACTIONS: u8 = 0x09;
    /// Response.
    pub const POOLED_TRANSACTIONS: u8 = 0x0a;
    /// Request.
    pub const GET_RECEIPTS: u8 = 0x0f;
    /// Response.
    pub const RECEIPTS: u8 = 0x10;
    /// What the peer can serve, since eth/69.
    pub const BLOCK_RANGE_UPDATE: u8 = 0x11;
    /// Request, since eth/71.
    pub const GET_BLOCK_ACCESS_LISTS: u8 = 0x12;
    /// Response, since eth/71.
    pub const BLOCK_ACCESS_LISTS: u8 = 0x13;
    /// Request, since eth/72.
    pub const GET_CELLS: u8 = 0x14;
    /// Response, since eth/72.
    pub const CELLS: u8 = 0x15;
}

/// Why bytes are no message of this version. Each is the peer's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EthError {
    /// No such message in this version.
    #[error("{version} has no message {id:#04x}")]
    UnknownMessage {
        /// The version agreed on.
        version: EthVersion,
        /// The message id within `eth`.
        id: u8,
    },
    /// Not the RLP that this message is.
    #[error("message {id:#04x}: {error}")]
    Rlp {
        /// The message id within `eth`.
        id: u8,
        /// What is wrong with it.
        error: alloy_rlp::Error,
    },
    /// A list holds more than may be sent.
    #[error("more than {max} {what} in one message")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many would be in order.
        max: usize,
    },
    /// Types, sizes and hashes of an announcement differ in number.
    #[error("announcement of {types} types, {sizes} sizes and {hashes} hashes")]
    UnevenAnnouncement {
        /// Number of types.
        types: usize,
        /// Number of sizes.
        sizes: usize,
        /// Number of hashes.
        hashes: usize,
    },
    /// Cells of a transaction that are not as many for each column.
    #[error("{cells} cells of {columns} columns")]
    UnevenCells {
        /// Number of cells.
        cells: usize,
        /// Number of columns.
        columns: usize,
    },
    /// As many lists of cells as transactions must come.
    #[error("cells of {lists} transactions beside {hashes} hashes")]
    UnevenLists {
        /// Number of lists.
        lists: usize,
        /// Number of hashes.
        hashes: usize,
    },
    /// Status of another version than Hello agreed on.
    #[error("status says version {theirs}, but {ours} was agreed on")]
    StatusVersion {
        /// What was agreed on.
        ours: EthVersion,
        /// What Status says.
        theirs: u64,
    },
}

/// Our own message does not exist in the version agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{version} has no message {id:#04x}")]
pub struct NotInVersion {
    /// The version agreed on.
    pub version: EthVersion,
    /// The message id within `eth`.
    pub id: u8,
}
