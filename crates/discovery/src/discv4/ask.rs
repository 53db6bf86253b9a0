//! What we ask of others, and what we make of their answers and their silence.

use super::{
    Action, Discv4, LookupId,
    packet::{Endpoint, NEIGHBORS_PER_PACKET, Neighbor, Packet},
    upkeep::Timer,
};
use crate::{Node, Record, address::may_relay, table::BUCKET_NODES};
use starling_primitives::{B256, PeerId};
use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

/// How long an answer may take, and how long we wait for the other side's Ping before asking anyway.
const REPLY_TIMEOUT: Duration = Duration::from_millis(500);
/// After a Neighbors packet that is not full: how long an earlier one may still be on its way.
const REORDER_TIME: Duration = Duration::from_millis(100);
/// Pings without an answer yet. When full, no more are sent: a Ping of a stranger is then answered, not asked back.
const PINGS_MAX: usize = 1024;
/// Nodes whose bond we wait for. When full, a record is not asked for and a lookup takes the node for silent.
const WAITING_MAX: usize = 256;
/// Lowest port that a node named by another may have; below live services that are not ours to disturb.
const PORT_MIN: u16 = 1025;

#[derive(Debug)]
pub(super) struct PendingPing {
    node: Node,
    hash: B256,
    sent: Instant,
    tries: u8,
    why: Why,
    deadline: Instant,
}

/// Beyond making a bond, what a Ping is for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Why {
    /// To see whether a node of the table is still there.
    pub(super) check: bool,
    /// Someone waits for [`Action::Pinged`].
    pub(super) asked: bool,
}

#[derive(Debug)]
pub(super) struct PendingFind {
    node: Node,
    lookup: LookupId,
    nodes: Vec<Node>,
    answered: bool,
    deadline: Instant,
}

#[derive(Debug)]
pub(super) struct PendingRecord {
    node: Node,
    hash: B256,
    asked: bool,
    deadline: Instant,
}

/// What to do when a node and we have proven ourselves to each other.
#[derive(Debug)]
pub(super) struct Waiting {
    node: Node,
    lookups: Vec<LookupId>,
    record: bool,
    asked: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Wish {
    Find(LookupId),
    Record,
    AskedRecord,
}

impl Discv4 {
    /// Sends a Ping unless one is under way, to which the reasons are added. False if too many are.
    pub(super) fn send_ping(&mut self, node: Node, why: Why, now: Instant) -> bool {
        let Some(to) = node.udp_addr() else { return false };
        if let Some(pending) = self.pings.get_mut(&(node.id, node.ip)) {
            pending.why.check |= why.check;
            pending.why.asked |= why.asked;
            return true;
        }
        if self.pings.len() >= PINGS_MAX || node.id == self.own {
            return false;
        }
        let hash = self.send_ping_packet(to, now);
        let deadline = now + REPLY_TIMEOUT;
        self.timers.insert((deadline, Timer::Ping(node.id, node.ip)));
        self.pings.insert((node.id, node.ip), PendingPing { node, hash, sent: now, tries: 1, why, deadline });
        true
    }

    fn send_ping_packet(&mut self, to: SocketAddr, now: Instant) -> B256 {
        let ping = Packet::Ping {
            from: self.own_endpoint(to.ip()),
            to: Endpoint::new(to, 0),
            expiration: self.expiration(now),
            record_seq: Some(self.config.record.seq()),
        };
        self.send(to, &ping)
    }

    pub(super) fn on_pong(
        &mut self,
        id: PeerId,
        from: SocketAddr,
        to: Endpoint,
        ping_hash: B256,
        record_seq: Option<u64>,
        now: Instant,
    ) {
        let key = (id, from.ip());
        if self.pings.get(&key).is_none_or(|pending| pending.hash != ping_hash) {
            return;
        }
        let Some(pending) = self.pings.remove(&key) else { return };
        let mut node = pending.node;
        node.udp = from.port();
        if let Some(seen) = to.udp_addr() {
            self.actions.push_back(Action::Endpoint { voter: from, seen });
        }
        if pending.why.asked {
            let round_trip = Some(now.saturating_duration_since(pending.sent));
            self.actions.push_back(Action::Pinged { id, round_trip });
        }
        self.bonds.pong_received(id, from.ip(), now);
        self.table.answered(node.clone(), now);
        if pending.why.check {
            self.table.check_passed(&id);
        }
        let asks_record = self.has_newer_record(&id, record_seq) && self.wait_for_bond(node.clone(), Wish::Record, now);
        if !asks_record {
            let known = self.table.get(&id).filter(|known| known.ip == node.ip).cloned();
            self.actions.push_back(Action::Found(known.unwrap_or(node)));
        }
        self.grant_or_wait(id, from.ip(), now);
    }

    /// Whether the number a node names is greater than that of the record we have, if any.
    pub(super) fn has_newer_record(&self, id: &PeerId, record_seq: Option<u64>) -> bool {
        let known = self.table.get(id).and_then(|node| node.record.as_ref()).map(Record::seq);
        record_seq.is_some_and(|seq| known.is_none_or(|known| known < seq))
    }

    /// Does what is wished once both sides have proven themselves, at once if they have. False if too much waits already.
    pub(super) fn wait_for_bond(&mut self, node: Node, wish: Wish, now: Instant) -> bool {
        let (id, ip) = (node.id, node.ip);
        if self.waiting.len() >= WAITING_MAX && !self.waiting.contains_key(&id) {
            return false;
        }
        let new = || Waiting { node: node.clone(), lookups: Vec::new(), record: false, asked: false };
        let waiting = self.waiting.entry(id).or_insert_with(new);
        match wish {
            Wish::Find(lookup) => waiting.lookups.push(lookup),
            Wish::Record => waiting.record = true,
            Wish::AskedRecord => waiting.asked = true,
        }
        if self.bonds.proven_to_us(id, ip, now) {
            self.grant_or_wait(id, ip, now);
        } else if !self.send_ping(node, Why::default(), now) {
            self.give_up(&id, now);
        }
        true
    }

    /// They have proven themselves to us. If we have not to them, or they forgot, their Ping is about to come.
    fn grant_or_wait(&mut self, id: PeerId, ip: IpAddr, now: Instant) {
        if !self.waiting.contains_key(&id) {
            return;
        }
        if self.bonds.proven_to_them(id, ip, now) {
            self.grant(&id, now);
        } else {
            self.timers.insert((now + REPLY_TIMEOUT, Timer::PingBack(id)));
        }
    }

    /// Asks a node what waited for the bond with it.
    pub(super) fn grant(&mut self, id: &PeerId, now: Instant) {
        let Some(waiting) = self.waiting.remove(id) else { return };
        if waiting.record || waiting.asked {
            self.send_enr_request(waiting.node.clone(), waiting.asked, now);
        }
        for lookup in waiting.lookups {
            self.send_find_node(waiting.node.clone(), lookup, now);
        }
    }

    fn send_find_node(&mut self, node: Node, lookup: LookupId, now: Instant) {
        let target = self.lookups.get(&lookup).map(|lookup| lookup.target);
        let (Some(target), Some(to)) = (target, node.udp_addr()) else { return };
        if self.finds.contains_key(&node.id) {
            // Answers do not say which question they belong to, so one node is asked one at a time.
            self.lookup_silent(lookup, &node.id, now);
            return;
        }
        self.send(to, &Packet::FindNode { target, expiration: self.expiration(now) });
        let deadline = now + REPLY_TIMEOUT;
        self.timers.insert((deadline, Timer::Find(node.id)));
        self.finds.insert(node.id, PendingFind { node, lookup, nodes: Vec::new(), answered: false, deadline });
    }

    pub(super) fn on_neighbors(&mut self, id: PeerId, from: IpAddr, neighbors: &[Neighbor], now: Instant) {
        let own = self.own;
        let Some(pending) = self.finds.get_mut(&id).filter(|pending| pending.node.ip == from) else { return };
        let named = neighbors
            .iter()
            .filter_map(Neighbor::node)
            .filter(|node| node.udp >= PORT_MIN && may_relay(from, node.ip) && node.id != own);
        for node in named {
            if pending.nodes.len() < BUCKET_NODES && !pending.nodes.iter().any(|known| known.id == node.id) {
                pending.nodes.push(node);
            }
        }
        pending.answered = true;
        if pending.nodes.len() >= BUCKET_NODES {
            self.end_find(&id, now);
        } else if neighbors.len() < NEIGHBORS_PER_PACKET {
            pending.deadline = pending.deadline.min(now + REORDER_TIME);
            self.timers.insert((pending.deadline, Timer::Find(id)));
        }
    }

    fn end_find(&mut self, id: &PeerId, now: Instant) {
        let Some(pending) = self.finds.remove(id) else { return };
        if !pending.answered {
            self.table.query_failed(id);
            self.lookup_silent(pending.lookup, id, now);
            return;
        }
        self.table.query_answered(id);
        for node in &pending.nodes {
            self.add_stranger(node.clone(), now);
        }
        self.lookup_answered(pending.lookup, id, pending.nodes, now);
    }

    fn send_enr_request(&mut self, node: Node, asked: bool, now: Instant) {
        let Some(to) = node.udp_addr() else { return };
        if let Some(pending) = self.records.get_mut(&node.id) {
            pending.asked |= asked;
            return;
        }
        let hash = self.send(to, &Packet::EnrRequest { expiration: self.expiration(now) });
        let deadline = now + REPLY_TIMEOUT;
        self.timers.insert((deadline, Timer::Record(node.id)));
        self.records.insert(node.id, PendingRecord { node, hash, asked, deadline });
    }

    pub(super) fn on_enr_response(&mut self, id: PeerId, from: IpAddr, request_hash: B256, record: Record) {
        let expected = |pending: &PendingRecord| pending.hash == request_hash && pending.node.ip == from;
        if record.id() == id && self.records.get(&id).is_some_and(expected) {
            self.end_record(&id, Some(record));
        }
    }

    fn end_record(&mut self, id: &PeerId, record: Option<Record>) {
        let Some(mut pending) = self.records.remove(id) else { return };
        if let Some(record) = &record {
            self.table.update(record);
            pending.node.update(record.clone());
        }
        if pending.asked {
            self.actions.push_back(Action::RecordAnswered { id: *id, record });
        }
        self.actions.push_back(Action::Found(pending.node));
    }

    pub(super) fn ping_timeout(&mut self, key: (PeerId, IpAddr), now: Instant) {
        let Some(pending) = self.pings.get_mut(&key).filter(|pending| pending.deadline <= now) else { return };
        let known = self.table.get(&key.0).is_some_and(|node| node.ip == key.1);
        let again = pending.tries == 1 && (known || pending.why.asked);
        if let (true, Some(to)) = (again, pending.node.udp_addr()) {
            let hash = self.send_ping_packet(to, now);
            let deadline = now + REPLY_TIMEOUT;
            self.timers.insert((deadline, Timer::Ping(key.0, key.1)));
            if let Some(pending) = self.pings.get_mut(&key) {
                (pending.hash, pending.sent, pending.deadline, pending.tries) = (hash, now, deadline, 2);
            }
            return;
        }
        let asked = pending.why.asked;
        self.pings.remove(&key);
        if known {
            self.table.check_failed(&key.0);
        }
        if asked {
            self.actions.push_back(Action::Pinged { id: key.0, round_trip: None });
        }
        self.give_up(&key.0, now);
    }

    /// A node that we waited for is silent.
    fn give_up(&mut self, id: &PeerId, now: Instant) {
        let Some(waiting) = self.waiting.remove(id) else { return };
        if waiting.asked {
            self.actions.push_back(Action::RecordAnswered { id: *id, record: None });
        }
        for lookup in waiting.lookups {
            self.lookup_silent(lookup, id, now);
        }
    }

    pub(super) fn find_timeout(&mut self, id: &PeerId, now: Instant) {
        if self.finds.get(id).is_some_and(|pending| pending.deadline <= now) {
            self.end_find(id, now);
        }
    }

    pub(super) fn record_timeout(&mut self, id: &PeerId, now: Instant) {
        if self.records.get(id).is_some_and(|pending| pending.deadline <= now) {
            self.end_record(id, None);
        }
    }
}
