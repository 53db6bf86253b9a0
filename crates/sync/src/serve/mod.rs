//! What to answer a peer: plain functions from a request and a [`ChainView`] to raw RLP items.
//!
//! ```text
//! GetBlockHeaders     ─► headers      ┐
//! GetBlockBodies      ─► bodies       │
//! GetReceipts         ─► receipts     ├─► items as they lie on disk ─► the message, uncopied
//! GetBlockAccessLists ─► access_lists ┘
//! ```
//!
//! - Nothing is decoded that need not be: headers and bodies are cut out of stored bytes, and receipts are
//!   stored in the form of eth/69. Only eth/68 pays for its blooms.
//! - Limits are soft as the [specification](https://github.com/ethereum/devp2p/blob/master/caps/eth.md) has
//!   them: an answer ends after the item that reaches the limit. A block that is unknown is left out (an
//!   access list that is missing has its place), a question about nothing has an empty answer; neither is an error.
//! - A function reads at most [`ITEMS_MAX`] blocks, so one request costs a bounded time. How many run at once
//!   is the caller's to hold: [`REQUESTS_PER_PEER_MAX`], [`REQUESTS_MAX`].

mod access_lists;
mod bodies;
mod headers;
mod receipts;

pub use access_lists::access_lists;
pub use bodies::bodies;
pub use headers::headers;
pub use receipts::{receipts, receipts_paged};

use starling_devp2p::eth::{EthVersion, Receipts, Request, Response};
use starling_primitives::{Bytes, ReadError};
use starling_state::ChainView;

/// Bytes after which an answer takes no further item.
pub const ANSWER_BYTES_SOFT: usize = 2 << 20;
/// Bytes that an answer never exceeds, its own envelope left aside: the practical limit of a message is 10 MiB.
pub const ANSWER_BYTES_MAX: usize = (10 << 20) - 1024;
/// Most headers, bodies, lists of receipts or access lists in an answer, and most hashes that are looked up for it.
pub const ITEMS_MAX: usize = 1024;
/// Requests of one peer that are worked on or wait at a time. The next one waits in its connection: nothing
/// more is read from a peer that asks faster than it is answered.
pub const REQUESTS_PER_PEER_MAX: usize = 4;
/// Requests of all peers that are worked on at a time; the others wait for a permit.
pub const REQUESTS_MAX: usize = 16;

const _: () = assert!(ANSWER_BYTES_SOFT < ANSWER_BYTES_MAX);
const _: () = assert!(REQUESTS_PER_PEER_MAX < REQUESTS_MAX);

/// The answer to a request about the chain; none to one about transactions, which the pool answers.
///
/// # Errors
/// When the database cannot be read: nothing about the request.
pub fn answer(view: &ChainView, version: EthVersion, request: &Request) -> Result<Option<Response>, ReadError> {
    let lists = |lists| Response::Receipts(Receipts { last_block_incomplete: false, lists });
    Ok(Some(match request {
        Request::BlockHeaders(request) => Response::BlockHeaders(headers(view, request)?),
        Request::BlockBodies(hashes) => Response::BlockBodies(bodies(view, hashes)?),
        Request::Receipts(request) => match version {
            EthVersion::V68 => lists(receipts(view, &request.hashes, true)?),
            EthVersion::V69 => lists(receipts(view, &request.hashes, false)?),
            EthVersion::V70 | EthVersion::V71 | EthVersion::V72 => Response::Receipts(receipts_paged(view, request)?),
        },
        Request::BlockAccessLists(hashes) => Response::BlockAccessLists(access_lists(view, hashes)?),
        Request::PooledTransactions(_) | Request::Cells(_) => return Ok(None),
    }))
}

/// Items of an answer with the running total that ends it.
#[derive(Debug, Default)]
struct Answer {
    items: Vec<Bytes>,
    size_bytes: usize,
}

impl Answer {
    /// Adds an item, unless it would not fit a message at all. False if it did not.
    fn push(&mut self, item: Bytes) -> bool {
        if self.size_bytes + item.len() > ANSWER_BYTES_MAX {
            return false;
        }
        self.size_bytes += item.len();
        self.items.push(item);
        true
    }

    fn is_full(&self) -> bool {
        self.size_bytes >= ANSWER_BYTES_SOFT || self.items.len() >= ITEMS_MAX
    }
}
