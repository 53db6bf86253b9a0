//! When to seal a block, and what it says: decisions only. Who calls passes in the time, random numbers and the key's
//! signature, and does the waiting.

mod clique;
mod proposals;

pub use clique::{CLOCK_SKEW_MAX, Order, Plan, Turn, VANITY_BYTES_MAX, put_seal, turn};
pub use proposals::Proposals;
