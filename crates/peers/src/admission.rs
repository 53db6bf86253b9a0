//! Who gets in: before the handshake by address, after it by name.

use crate::{
    ConnectionId, Direction, DropReason, PeerAction, Peers,
    config::{DUPLICATE_AGE_MAX, DUPLICATE_HELD_TIME, SUBNET_CONNECTIONS_MAX},
    connection::{Connection, Stage},
    useful::Merits,
};
use starling_primitives::PeerId;
use std::{net::SocketAddr, time::Instant};

impl Peers {
    /// A connection came in: nothing is known but the address, and nothing was spent on it yet.
    pub(crate) fn incoming(&mut self, connection: ConnectionId, from: SocketAddr, now: Instant) {
        let verdict = self.judge_address(from, now);
        self.connections.insert(
            connection,
            Connection {
                direction: Direction::Inbound,
                addr: from,
                id: None,
                stage: Stage::Shaking,
                since: now,
                merits: Merits::new(now),
            },
        );
        match verdict {
            Ok(()) => self.act(PeerAction::Admit { connection }),
            Err(reason) => self.drop_connection(connection, reason, now),
        }
    }

    fn judge_address(&mut self, from: SocketAddr, now: Instant) -> Result<(), DropReason> {
        let ip = from.ip();
        if self.is_stopping() {
            return Err(DropReason::Stopping);
        }
        if !self.config.allows(ip) {
            return Err(DropReason::NotAllowed);
        }
        if self.bans.holds_address(ip, now) {
            return Err(DropReason::Banned);
        }
        if self.connections.neighbours(ip, |_| true) >= SUBNET_CONNECTIONS_MAX {
            return Err(DropReason::SubnetFull);
        }
        if self.connections.count(|one| one.stage == Stage::Shaking) >= self.config.pending_max {
            return Err(DropReason::HandshakesFull);
        }
        // Last, so that only connections that pass the rest are counted.
        if !self.throttle.admits(ip, now) {
            return Err(DropReason::Throttled);
        }
        Ok(())
    }

    /// The peer proved its key.
    pub(crate) fn identified(&mut self, connection: ConnectionId, id: PeerId, now: Instant) {
        let Some(found) = self.connections.get_mut(connection) else { return };
        let (Stage::Shaking | Stage::Dialing) = found.stage else { return };
        if found.direction == Direction::Outbound && found.id != Some(id) {
            return self.drop_connection(connection, DropReason::UnexpectedIdentity, now);
        }
        found.id = Some(id);
        if id == self.config.local_id {
            return self.drop_connection(connection, DropReason::SelfConnection, now);
        }
        match self.connections.peer(&id).and_then(|other| self.connections.get(other)) {
            Some(other) => {
                let at_once = now.saturating_duration_since(other.since) <= DUPLICATE_AGE_MAX;
                let crossed = self.connections.get(connection).is_some_and(|one| one.direction != other.direction);
                if at_once && crossed && self.connections.held(&id).is_none() {
                    self.set_stage(connection, Stage::Held { until: now + DUPLICATE_HELD_TIME }, now);
                } else {
                    self.drop_connection(connection, DropReason::AlreadyConnected, now);
                }
            }
            None => self.take_slot(connection, id, now),
        }
    }

    /// Gives an identified connection a slot, or drops it.
    pub(crate) fn take_slot(&mut self, connection: ConnectionId, id: PeerId, now: Instant) {
        match self.judge_peer(connection, id, now) {
            Ok(()) => self.keep(connection, now),
            Err(reason) => self.drop_connection(connection, reason, now),
        }
    }

    fn judge_peer(&self, connection: ConnectionId, id: PeerId, now: Instant) -> Result<(), DropReason> {
        if self.is_named(&id) {
            return Ok(());
        }
        if self.bans.holds_peer(&id, now) {
            return Err(DropReason::Banned);
        }
        let inbound = self.connections.get(connection).is_some_and(|one| one.direction == Direction::Inbound);
        let ordinary = |one: &Connection| one.is_peer() && one.id.is_some_and(|id| !self.is_named(&id));
        let taken = self.connections.count(ordinary);
        let taken_inbound = self.connections.count(|one| ordinary(one) && one.direction == Direction::Inbound);
        if taken >= self.config.peers_max || (inbound && taken_inbound >= self.config.inbound_max()) {
            return Err(DropReason::TooManyPeers);
        }
        Ok(())
    }

    /// Both nodes dialed each other at the same moment. Whoever keeps the first connection only may lose both: the
    /// other side's first may be our second. So both live for a moment; if the peer has not chosen by then, the one
    /// that the lesser key dialed stays, which both sides can tell.
    pub(crate) fn settle_duplicates(&mut self, now: Instant) {
        let due: Vec<_> = self
            .connections
            .iter()
            .filter(|(_, one)| matches!(one.stage, Stage::Held { until } if until <= now))
            .filter_map(|(held, one)| Some((held, one.id?, one.direction)))
            .collect();
        for (held, id, direction) in due {
            let Some(first) = self.connections.peer(&id) else {
                self.take_slot(held, id, now);
                continue;
            };
            let ours_wins = self.config.local_id < id;
            let held_wins = (direction == Direction::Outbound) == ours_wins;
            // Dropping the first one lets the held one move up.
            self.drop_connection(if held_wins { first } else { held }, DropReason::AlreadyConnected, now);
        }
    }
}
