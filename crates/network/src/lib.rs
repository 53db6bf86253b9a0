//! Sockets: TCP sessions, the shared UDP port, the discv5 adapter.
//!
//! ```text
//!                       ┌──────────────── manager: does what `peers` decides ◄─ commands ─┐
//!                       │ orders ▲ reports        ▲ candidates                            │
//! TCP ─ listener ─► sessions: one task each     discovery: discv4, discv5, DNS      NetworkHandle
//!                       │  ▲ outbox, bounded by bytes ◄──────────── send ─────────────────┘
//!                       ▼  │
//!                  NetworkEvents: Ready, Message, Gone; bounded by bytes
//! ```
//!
//! The deciding is done elsewhere: `devp2p` says what bytes mean, `discovery` whom to ask, `peers` whom to keep. Here
//! are the tasks, sockets and queues between them, and nothing else. No queue grows without bound: each names its
//! limit, and what happens at it. Nothing here knows the chain but by the [`ChainStatus`] that it is given.

mod bootnode;
mod discovery;
mod event;
mod handle;
mod listen;
mod local;
mod manager;
mod network;
mod outbox;
pub mod probe;
mod report;
mod resolve;
mod session;
mod shared;
mod status;

pub use bootnode::{Bootnode, BootnodeConfig};
pub use discovery::StartError;
pub use event::{Charge, NetworkEvent, NetworkEvents};
pub use handle::{DropRecord, NetworkHandle, Overview, PeerSnapshot, Stopped};
pub use listen::{Listen, ListenError};
pub use local::{LocalNode, Seen};
pub use network::{DiscoveryConfig, NetworkConfig, NetworkError, start};
pub use outbox::{OUTBOX_BYTES_MAX, SendFailure};
pub use status::ChainStatus;
