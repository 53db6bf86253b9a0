//! Everything that finds nodes, on one UDP port.
//!
//! ```text
//!             ┌─► discv5 (a library, reads the socket) ─ what it cannot read ─┐
//! UDP socket ─┤                                                               ▼
//!             └─◄───────────────────────────── sends ◄────────────────── discv4 (ours)
//! name servers ─► DNS lists        database of nodes ─► seeds
//!                      all of them ─► candidates ─► manager
//! ```

mod datagram;
mod driver;
mod lists;
mod names;
mod v5;

pub(crate) use datagram::Udp;
pub(crate) use driver::{Driver, Parts, unix};
pub use v5::StartError;
pub(crate) use v5::ask_v5;
