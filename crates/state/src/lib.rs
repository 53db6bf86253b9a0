//! What any kept block looked like: the reader's snapshot of the chain, and the state after a block.
//!
//! ```text
//! ChainView   head, safe, finalized · headers, blocks, receipts, transactions by hash or number
//!    └ state_at(block) ─► StateView   accounts, slots, code · rows for roots and proofs
//! ```
//!
//! A view is immutable: whatever the chain does meanwhile, it answers about the same blocks, until its
//! deadline passes. Nothing here writes; the one that does, `chain`, reads through a [`HeadCache`].

mod chain_view;
mod clique;
mod genesis;
mod head_cache;
mod state_view;

pub use chain_view::{BlockId, ChainView, KeptBlock};
pub use clique::CliqueSnapshots;
pub use genesis::{diff_from_nothing, genesis_record};
pub use head_cache::{CachedRows, CachedState, HeadCache};
pub use state_view::StateView;
