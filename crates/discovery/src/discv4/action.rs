//! What crosses the border of [`super::Discv4`].

use super::lookup::LookupId;
use crate::{Node, Record};
use starling_primitives::{NodeKey, PeerId};
use std::{net::SocketAddr, time::Duration};

/// Who we are and whom to ask first.
#[derive(Debug, Clone)]
pub struct Config {
    /// Signs every packet.
    pub key: NodeKey,
    /// What we say about ourselves; its addresses and ports go into our Pings.
    pub record: Record,
    /// Asked when nobody else is known.
    pub bootnodes: Vec<Node>,
    /// Time from one lookup of the automatic ones to the next. As many strangers as one lookup names are greeted in
    /// that time.
    pub lookup_interval: Duration,
}

/// What [`super::Discv4`] wants done, or tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send a datagram.
    Send {
        /// Where to.
        to: SocketAddr,
        /// At most [`super::PACKET_BYTES_MAX`].
        bytes: Vec<u8>,
    },
    /// A node answered from that address; with its record, if it gave one. Told again whenever it answers again.
    Found(Node),
    /// Someone says where our packets come from: a vote for [`crate::EndpointVotes`].
    Endpoint {
        /// Who says so.
        voter: SocketAddr,
        /// Where we are seen.
        seen: SocketAddr,
    },
    /// The answer to [`super::Discv4::ping`], none after two tries.
    Pinged {
        /// Whom we asked.
        id: PeerId,
        /// How long it took.
        round_trip: Option<Duration>,
    },
    /// The answer to [`super::Discv4::request_record`].
    RecordAnswered {
        /// Whom we asked.
        id: PeerId,
        /// Its record; none if it did not answer.
        record: Option<Record>,
    },
    /// A lookup is over.
    LookupDone {
        /// Which.
        id: LookupId,
        /// What was looked for.
        target: PeerId,
        /// The nearest nodes that answered, the nearest first; at most 16.
        nearest: Vec<Node>,
        /// How many answers led to the target itself; none if nobody named it.
        hops: Option<u8>,
    },
}
