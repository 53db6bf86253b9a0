//! Making room: a full node lets a stranger take the place of somebody now and then, or newcomers would never find a
//! slot anywhere and the network would fall into cliques.

use crate::{
    ConnectionId, Direction, PeersConfig,
    config::{ROTATION_AGE_MIN, ROTATION_EVERY_MS},
    connection::{Connections, Stage},
    useful::protected,
};
use rand::{RngExt, rngs::StdRng};
use starling_primitives::PeerId;
use std::time::{Duration, Instant};

/// When the next peer is rotated out.
#[derive(Debug)]
pub(crate) struct Rotation {
    at: Instant,
}

impl Rotation {
    pub(crate) fn new(rng: &mut StdRng, now: Instant) -> Self {
        Self { at: now + Duration::from_millis(rng.random_range(ROTATION_EVERY_MS)) }
    }

    pub(crate) fn at(&self) -> Instant {
        self.at
    }

    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.at <= now
    }

    /// Who goes, at most one of each direction, and only where every slot is taken. Peers that an operator named, young
    /// ones and the most useful ones stay.
    pub(crate) fn choose(
        &mut self,
        connections: &Connections,
        config: &PeersConfig,
        is_named: impl Fn(&PeerId) -> bool,
        rng: &mut StdRng,
        now: Instant,
    ) -> Vec<ConnectionId> {
        *self = Self::new(rng, now);
        let peers: Vec<_> = connections
            .iter()
            .filter(|(_, one)| one.stage == Stage::Ready && !one.id.is_some_and(|id| is_named(&id)))
            .collect();
        let merits: Vec<_> = peers.iter().map(|(connection, one)| (*connection, one.merits)).collect();
        let protected = protected(&merits, now);
        let mut one_of = |direction, slots: usize| {
            let there: Vec<_> = peers.iter().filter(|(_, one)| one.direction == direction).collect();
            let old: Vec<_> = there
                .iter()
                .filter(|(_, one)| now.saturating_duration_since(one.since) >= ROTATION_AGE_MIN)
                .map(|(connection, _)| *connection)
                .filter(|connection| !protected.contains(connection))
                .collect();
            (there.len() >= slots && !old.is_empty()).then(|| old[rng.random_range(0..old.len())])
        };
        let outbound = one_of(Direction::Outbound, config.outbound_max());
        let inbound = one_of(Direction::Inbound, config.inbound_max());
        outbound.into_iter().chain(inbound).collect()
    }
}
