//! What happens to peers, and what is to be done about it.

use crate::{DropReason, Merit, Offence};
use starling_discovery::Enode;
use starling_primitives::PeerId;
use std::net::{IpAddr, SocketAddr};

/// A connection, from the moment it is accepted or dialed; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(
    /// Counted up from 0.
    pub u64,
);

/// Who opened a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// The peer.
    Inbound,
    /// This node.
    Outbound,
}

/// Something happened.
#[derive(Debug, Clone)]
pub enum PeerEvent {
    /// Discovery found a node of our chain, as far as its record tells.
    Candidate {
        /// Its name.
        id: PeerId,
        /// Where it listens for RLPx.
        addr: SocketAddr,
    },
    /// A connection came in; its name is from [`crate::Peers::next_connection`].
    Incoming {
        /// Its name.
        connection: ConnectionId,
        /// Where from.
        from: SocketAddr,
    },
    /// RLPx is up: the peer proved its key and agreed on a capability.
    Identified {
        /// Which connection.
        connection: ConnectionId,
        /// The proven key.
        id: PeerId,
    },
    /// Status was exchanged and fits.
    Ready {
        /// Which connection.
        connection: ConnectionId,
    },
    /// A connection ended by itself, or a dial failed. Also the last word after [`PeerAction::Drop`], where the reason
    /// here does not count any more.
    Closed {
        /// Which connection.
        connection: ConnectionId,
        /// Why.
        reason: DropReason,
    },
    /// The answer to [`PeerAction::Resolve`]; empty if the name has no address.
    Resolved {
        /// Whose name it was.
        id: PeerId,
        /// Its addresses, the best first.
        ips: Vec<IpAddr>,
    },
    /// A connected peer was useful.
    Merit {
        /// Which connection.
        connection: ConnectionId,
        /// For what.
        merit: Merit,
        /// How much: items delivered, heads told.
        amount: u32,
    },
    /// A peer did something wrong.
    Offence {
        /// Who.
        id: PeerId,
        /// What.
        offence: Offence,
    },
    /// An operator wants a connection to the peer, always.
    AddStatic(Enode),
    /// And no more; drops it as well.
    RemoveStatic(PeerId),
    /// An operator lets the peer in whatever the limits say.
    AddTrusted(PeerId),
    /// And no more; it stays connected as an ordinary peer.
    RemoveTrusted(PeerId),
    /// End a connection for a reason that only the sender knows.
    Disconnect {
        /// Who.
        id: PeerId,
        /// Why.
        reason: DropReason,
    },
    /// The node stops: every connection ends and no new one begins.
    Stop,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerAction {
    /// Connect; ends in `Identified` or `Closed`.
    Dial {
        /// The new connection.
        connection: ConnectionId,
        /// Who should be there.
        id: PeerId,
        /// Where.
        addr: SocketAddr,
    },
    /// Look a host name up; ends in `Resolved`.
    Resolve {
        /// Whose.
        id: PeerId,
        /// The name.
        host: String,
    },
    /// The connection that came in may shake hands.
    Admit {
        /// Which.
        connection: ConnectionId,
    },
    /// The identified peer has a slot: exchange Status.
    Keep {
        /// Which.
        connection: ConnectionId,
    },
    /// End the connection; tell the peer where the protocol can.
    Drop {
        /// Which.
        connection: ConnectionId,
        /// Why.
        reason: DropReason,
    },
}
