//! Whom to talk to: slots, dialing, reputation, bans.
//!
//! ```text
//! discovery ─ Candidate ─►┌───────────────────────────────┐─► Dial, Resolve
//! sockets ─── Incoming ──►│ address: netrestrict, bans,    │─► Admit
//!             Identified ►│          subnets, throttle     │─► Keep
//!             Ready ─────►│ name:    slots, bans, twice?   │─► Drop(reason)
//!             Closed ────►│ conduct: offences, merits      │
//! sync, pool ─ Offence ──►└───────────────────────────────┘
//! ```
//!
//! Everything is decided here and nothing is done: no sockets, no clock, no lock. [`Peers::handle`] takes what
//! happened, [`Peers::poll`] says what to do, [`Peers::next_deadline`] when to call again. The same events, times and
//! seed give the same actions.
//!
//! The rules, in short:
//!
//! - A third of the slots are dialed by us, the rest is for those who dial us. Static and trusted peers come on top:
//!   static ones are dialed until they answer, trusted ones are let in always.
//! - A dial that fails doubles the wait for the peer and for its address. Peers that were good once are dialed again
//!   in turn with strangers, so a node that discovery fails does not lose its last peers.
//! - One network of addresses never holds more than a few slots. Addresses of this machine and of private networks are
//!   exempt from that, from the throttle and from bans by address.
//! - Offences add up and fade; one lie about the chain drops a peer, a second bans it. Merits protect the most useful
//!   peers from rotation, which lets strangers in now and then.
//! - Every end of a connection has one [`DropReason`]; [`Peers::drops`] counts them and keeps the last ones.

mod admission;
mod backoff;
mod ban;
mod config;
mod connection;
mod dial;
mod drops;
mod event;
mod expiring;
mod known;
mod peers;
mod reason;
mod reputation;
mod rotation;
mod subnet;
mod throttle;
mod useful;

pub use config::PeersConfig;
pub use drops::{DROPS_KEPT_MAX, Drop, DropLog};
pub use event::{ConnectionId, Direction, PeerAction, PeerEvent};
pub use known::{KNOWN_MAX, KnownPeer};
pub use peers::{NamedPeers, PeerCounts, Peers};
pub use reason::DropReason;
pub use reputation::Offence;
pub use subnet::{InvalidSubnet, Subnet, is_local};
pub use useful::Merit;
