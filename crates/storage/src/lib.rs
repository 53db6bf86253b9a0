//! The bytes on disk: journal, layers, MDBX tables, block files. Knows rows, not rules.
//!
//! ```text
//! append ─► journal (commit point) ─► layers, one a block, a tree ─► view
//!                                        │ flush, seldom              │ falls through to
//!                                        ▼                            ▼
//!                              block files · MDBX tables as of the frontier
//! ```
//!
//! Five calls are all that the floors above know of it: [`Database::append`], [`Database::sync`],
//! [`Database::advance`], [`Database::rollback`], [`Database::view`].
//!
//! Two guarantees, apart: what [`Database::append`] returned from survives the death of the process; what
//! [`Database::sync`] returned from survives a power cut.

mod blocks;
mod branches;
mod codec;
mod config;
mod database;
mod disk;
mod engine;
mod failpoint;
mod flush;
mod generation;
mod index;
mod journal;
mod layers;
mod maintenance;
mod mdbx;
mod patch;
mod pressure;
mod prune;
mod record;
mod recover;
mod rollback;
mod rows;
mod schema;
mod sync;
mod tables;
#[cfg(test)]
mod tests;
mod tree;
mod undo;
mod view;

pub use config::{GenesisRecord, OpenError, StorageConfig, WriteError};
pub use database::Database;
pub use maintenance::Stats;
pub use pressure::FRONTIER_LAG_MIN_BLOCKS;
pub use record::{BlockRecord, HeadRecord, Lsn, Record, StoredBlock};
pub use rollback::BranchUpdate;
pub use schema::Table;
pub use view::View;
