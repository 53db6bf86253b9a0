//! The bytes on disk: journal, layers, MDBX tables, block files. Knows rows, not rules.
//!
//! Five calls are all that the floors above know of it: [`Database::append`], [`Database::sync`],
//! [`Database::advance`], [`Database::rollback`], [`Database::view`].

mod border;
pub use border::*;
