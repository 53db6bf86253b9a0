//! Nodes and how they are found: records, discv4, DNS lists, the node database.
//!
//! ```text
//! datagrams ──► discv4 ──┬── Found ───────► Candidates ──► whom to dial
//! TXT records ► dns ─────┤                     ▲
//! (discv5) ──────────────┤                  NodeDb ◄──► a file
//!                        └── Endpoint ────► EndpointVotes ──► our own record
//! ```
//!
//! Nothing here opens a socket, reads a clock or starts a thread. What decides has one shape: tell it what happened
//! and when, ask it what to do until it has nothing more, and come back at its next deadline. discv5 is the crate of
//! that name, driven by `network`; what it finds and hears comes here like the rest.

pub mod address;
mod candidates;
mod database;
pub mod discv4;
pub mod dns;
mod enode;
mod libp2p;
mod node;
mod record;
pub mod table;
mod votes;

pub use candidates::{Candidate, Candidates, Refused, Source};
pub use database::{DATABASE_BYTES_MAX, DATABASE_NODES_MAX, InvalidDatabase, KnownNode, NodeDb};
pub use enode::{Enode, Host, InvalidEnode};
pub use libp2p::libp2p_peer_id;
pub use node::{InvalidNodeUrl, Node, NodeUrl};
pub use record::{InvalidRecord, RECORD_BYTES_MAX, Record, RecordContent};
pub use votes::EndpointVotes;
