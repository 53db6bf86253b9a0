//! Genesis blocks: their accounts, and geth's file format read and written.

mod state;

pub use state::GenesisState;
