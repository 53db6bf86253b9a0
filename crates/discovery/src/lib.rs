//! Nodes and how they are found: records, discv4, DNS lists, the node database.
//!
//! Nothing here opens a socket, reads a clock or starts a thread. What decides has one shape: tell it what happened
//! and when, ask it what to do until it has nothing more, and come back at its next deadline.

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
