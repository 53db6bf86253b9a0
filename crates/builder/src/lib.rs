//! Builds blocks: payloads for a consensus client, blocks to be sealed.
//!
//! ```text
//! parent, Attributes ─► header draft ─► begin ─► candidates, best first ─► end ─► roots ─► Built
//!                                               └ one that does not fit is left out, with its sender's later ones
//! PayloadJobs: fork choice with attributes ─► id │ thread: empty block ─► full block ─► better ones ─► taken
//! PendingBlocks: the block that would come next, for readers │ kept until head or pool change
//! seal: whose turn it is on Clique, when and with which vote; the block is then built as any other, and sealed
//! ```
//!
//! A block built here is run by the same code that runs it on import ([`BlockInProgress`] of `execution`), its root
//! comes from the same trie, and it goes through the same door as anybody's. Nothing here knows the chain's writer or
//! a peer; what is built on is a snapshot that the caller gives.
//!
//! [`BlockInProgress`]: starling_execution::BlockInProgress

mod attributes;
mod build;
mod built;
mod candidates;
mod draft;
mod error;
mod jobs;
mod payload_id;
mod pending;
mod pool;
pub mod seal;

pub use attributes::{Attributes, Authorship, BuildOptions, GAS_LIMIT_TARGET_DEFAULT};
pub use build::{Limits, Parent, build, build_for_seal};
pub use built::Built;
pub use candidates::{Candidate, Candidates, Given, Nothing, Unfit};
pub use error::BuildError;
pub use jobs::{BestFor, JobSource, PayloadJobs, Taken};
pub use payload_id::{AttributesVersion, PayloadId};
pub use pending::PendingBlocks;
pub use pool::best_for;
