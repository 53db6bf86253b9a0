//! Which transactions to keep, order, announce, fetch, replace and evict.
//!
//! ```text
//! bytes ─► cheap checks ─► account at the head ─► signature ─► Pool ─► pending   run next, or when the base fee falls
//!          size, type, gas   nonce, balance                         └► queued    wait for a nonce or for funds
//! ```
//!
//! [`Pool`] decides and is a plain value: what an account has is passed in, and so is the time. [`PoolHandle`] shares it
//! between threads, reads accounts and recovers senders before it takes the lock.
//!
//! - An account's transactions stand in one row by nonce. Those from its nonce on without a gap, as far as its balance
//!   pays for them together, are *pending*; all others are *queued*.
//! - When the pool is full, the account whose cheapest transaction pays least loses its last one. What came by our own
//!   RPC goes only when nothing else is left.
//! - What leaves is remembered for a while with the reason, and for longer if it was ours: [`PoolHandle::explain`].
//! - What came by our own RPC is in the journal before it is acknowledged, and in the pool again after a restart.

mod account;
mod best;
mod blobs;
mod check;
mod config;
mod departed;
mod explain;
#[cfg(test)]
mod fuzz;
pub mod gossip;
mod handle;
mod journal;
mod pool;
mod refusal;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod tx;

pub use best::{Best, BestParams};
pub use blobs::{BlobStore, Blobs, Stripped, cells_list};
pub use config::{IntrinsicGasRule, PoolConfig, SLOT_BYTES};
pub use departed::Departure;
pub use explain::{Explanation, TOLD_MAX, Waiting};
pub use handle::{PoolHandle, PoolNews, Submitted};
pub use journal::{JournalRecord, read_journal};
pub use pool::{AccountFacts, Content, HeadFacts, Pool, PoolEvent, PoolStatus, Row};
pub use refusal::Refusal;
pub use tx::{Origin, PooledTx};
