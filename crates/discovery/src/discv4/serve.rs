//! Answers to what others ask.

use super::{
    Discv4,
    packet::{Endpoint, NEIGHBORS_PER_PACKET, Neighbor, Packet},
};
use crate::{Node, address::may_relay, table::BUCKET_NODES};
use starling_primitives::{B256, PeerId, node_id};
use std::{net::SocketAddr, time::Instant};

impl Discv4 {
    /// Answers, and asks back at once if the sender has not shown lately that packets reach it.
    pub(super) fn on_ping(&mut self, node: Node, ping_hash: B256, record_seq: Option<u64>, now: Instant) {
        let (id, to) = (node.id, SocketAddr::new(node.ip, node.udp));
        let pong = Packet::Pong {
            to: Endpoint::new(to, node.tcp),
            ping_hash,
            expiration: self.expiration(now),
            record_seq: Some(self.config.record.seq()),
        };
        self.send(to, &pong);
        self.bonds.pong_sent(id, node.ip, now);
        if !self.bonds.proven_to_us(id, node.ip, now) {
            self.send_ping(node, Default::default(), now);
            return;
        }
        if self.has_newer_record(&id, record_seq) {
            self.wait_for_bond(node, super::ask::Wish::Record, now);
        }
        self.grant(&id, now);
    }

    /// Tells of nodes near a key. More than asked for is sent, so only to an address that is proven.
    pub(super) fn on_find_node(&mut self, id: PeerId, from: SocketAddr, target: PeerId, now: Instant) {
        if !self.bonds.proven_to_us(id, from.ip(), now) {
            return;
        }
        let nearest = self.table.nearest(node_id(&target), usize::MAX);
        let told: Vec<Neighbor> = nearest
            .into_iter()
            .filter(|node| may_relay(from.ip(), node.ip))
            .take(BUCKET_NODES)
            .map(|node| Neighbor {
                endpoint: Endpoint { ip: Some(node.ip), udp: node.udp, tcp: node.tcp },
                id: node.id,
            })
            .collect();
        let expiration = self.expiration(now);
        let mut parts: Vec<&[Neighbor]> = told.chunks(NEIGHBORS_PER_PACKET).collect();
        if parts.is_empty() {
            parts.push(&[]);
        }
        for part in parts {
            self.send(from, &Packet::Neighbors { nodes: part.to_vec(), expiration });
        }
    }

    /// Gives our record.
    pub(super) fn on_enr_request(&mut self, id: PeerId, from: SocketAddr, request_hash: B256, now: Instant) {
        if self.bonds.proven_to_us(id, from.ip(), now) {
            let record = self.config.record.clone();
            self.send(from, &Packet::EnrResponse { request_hash, record });
        }
    }
}
