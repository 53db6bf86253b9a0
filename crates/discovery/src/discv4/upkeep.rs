//! What happens by itself: looking around, greeting strangers, checking who is still there.

use super::{
    Action, Discv4, LookupId,
    ask::{Why, Wish},
    lookup::Lookup,
};
use crate::{
    Node,
    table::{BUCKET_NODES, Check},
};
use rand::{Rng, RngExt};
use starling_primitives::{PeerId, node_id};
use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

/// Mean time between checks of nodes that were not checked yet, one at a time.
const CHECK_NEW_INTERVAL: Duration = Duration::from_secs(3);
/// Mean time between checks of nodes that were.
const CHECK_PROVEN_INTERVAL: Duration = Duration::from_secs(9);
/// Time between lookups of our own key, which keeps the near buckets full.
const REFRESH_INTERVAL: Duration = Duration::from_secs(30 * 60);
/// Time between lookups while fewer than half a bucket of nodes are known, unless lookups are even more frequent.
const LONELY_INTERVAL: Duration = Duration::from_secs(5);
/// Shortest time between lookups, whatever is set.
const LOOKUP_INTERVAL_MIN: Duration = Duration::from_millis(100);
/// Strangers that wait to be greeted. When full, one more is forgotten: others will name it again.
const STRANGERS_MAX: usize = 256;
/// Nodes of which it is remembered when they were greeted. When full, the longest unnamed is forgotten.
pub(super) const STRANGERS_GREETED_MAX: u32 = 4096;
/// A node that did not answer a greeting is not greeted again so soon.
const GREET_AGAIN: Duration = Duration::from_secs(10 * 60);

/// What a deadline is of. Those of requests may be of one that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    Ping(PeerId, IpAddr),
    Find(PeerId),
    Record(PeerId),
    PingBack(PeerId),
    Lookup,
    Refresh,
    Greet,
    CheckNew,
    CheckProven,
}

impl Discv4 {
    pub(super) fn start_upkeep(&mut self, now: Instant) {
        self.timers.insert((now, Timer::Refresh));
        self.timers.insert((now + self.config.lookup_interval.min(LONELY_INTERVAL), Timer::Lookup));
        self.timers.insert((now + CHECK_NEW_INTERVAL, Timer::CheckNew));
        self.timers.insert((now + CHECK_PROVEN_INTERVAL, Timer::CheckProven));
    }

    pub(super) fn fire(&mut self, timer: Timer, now: Instant) {
        match timer {
            Timer::Ping(id, ip) => self.ping_timeout((id, ip), now),
            Timer::Find(id) => self.find_timeout(&id, now),
            Timer::Record(id) => self.record_timeout(&id, now),
            Timer::PingBack(id) => self.grant(&id, now),
            Timer::Lookup => self.look_around(now),
            Timer::Refresh => self.refresh(now),
            Timer::Greet => self.greet(now),
            Timer::CheckNew => self.check(Check::New, now),
            Timer::CheckProven => self.check(Check::Proven, now),
        }
    }

    fn look_around(&mut self, now: Instant) {
        let lonely = self.table.len() < BUCKET_NODES / 2;
        let interval = self.config.lookup_interval.max(LOOKUP_INTERVAL_MIN);
        let interval = if lonely { interval.min(LONELY_INTERVAL) } else { interval };
        // An interval that was made shorter left a second timer behind.
        self.timers.retain(|(_, timer)| *timer != Timer::Lookup);
        self.timers.insert((now + interval, Timer::Lookup));
        if self.automatic.is_none() {
            let mut target = PeerId::ZERO;
            self.rng.fill_bytes(target.as_mut_slice());
            let target = if lonely { self.own } else { target };
            self.start_automatic_lookup(target, now);
        }
    }

    fn refresh(&mut self, now: Instant) {
        self.timers.insert((now + REFRESH_INTERVAL, Timer::Refresh));
        if self.automatic.is_none() {
            self.start_automatic_lookup(self.own, now);
        }
    }

    /// Nobody waits for its result: it fills the table and finds strangers.
    fn start_automatic_lookup(&mut self, target: PeerId, now: Instant) {
        let id = self.insert_lookup(target);
        self.automatic = Some(id);
        self.drive(id, now);
    }

    pub(super) fn start_lookup(&mut self, target: PeerId, now: Instant) -> LookupId {
        let id = self.insert_lookup(target);
        self.drive(id, now);
        id
    }

    fn insert_lookup(&mut self, target: PeerId) -> LookupId {
        let mut start: Vec<Node> = self.table.nearest(node_id(&target), BUCKET_NODES).into_iter().cloned().collect();
        if start.len() < BUCKET_NODES / 2 {
            start.extend(self.config.bootnodes.iter().cloned());
        }
        self.lookups_started += 1;
        let id = LookupId(self.lookups_started);
        self.lookups.insert(id, Lookup::new(target, self.own, start));
        id
    }

    pub(super) fn lookup_answered(&mut self, lookup: LookupId, id: &PeerId, nodes: Vec<Node>, now: Instant) {
        if let Some(lookup) = self.lookups.get_mut(&lookup) {
            lookup.answered(id, nodes);
        }
        self.drive(lookup, now);
    }

    pub(super) fn lookup_silent(&mut self, lookup: LookupId, id: &PeerId, now: Instant) {
        if let Some(lookup) = self.lookups.get_mut(&lookup) {
            lookup.silent(id);
        }
        self.drive(lookup, now);
    }

    /// Asks the next nodes of a lookup, and ends it when there are none.
    fn drive(&mut self, id: LookupId, now: Instant) {
        while let Some(node) = self.lookups.get_mut(&id).and_then(Lookup::next) {
            let node_id = node.id;
            if !self.wait_for_bond(node, Wish::Find(id), now)
                && let Some(lookup) = self.lookups.get_mut(&id)
            {
                lookup.silent(&node_id);
            }
        }
        if self.lookups.get_mut(&id).is_some_and(Lookup::is_done)
            && let Some(lookup) = self.lookups.remove(&id)
        {
            self.end_lookup(id, &lookup);
        }
    }

    fn end_lookup(&mut self, id: LookupId, lookup: &Lookup) {
        if self.automatic == Some(id) {
            self.automatic = None;
            return;
        }
        let (nearest, hops) = (lookup.nearest(), lookup.hops_to_target());
        self.actions.push_back(Action::LookupDone { id, target: lookup.target, nearest, hops });
    }

    /// Someone named a node: it waits to be greeted, unless it is known or was greeted lately.
    pub(super) fn add_stranger(&mut self, node: Node, now: Instant) {
        let lately = |at: &mut Instant| now.saturating_duration_since(*at) < GREET_AGAIN;
        if node.id == self.own
            || node.udp_addr().is_none()
            || self.strangers.len() >= STRANGERS_MAX
            || self.table.get(&node.id).is_some_and(|known| known.ip == node.ip)
            || self.greeted.get(&node.id).is_some_and(lately)
        {
            return;
        }
        self.greeted.insert(node.id, now);
        if self.strangers.is_empty() {
            self.timers.insert((now + self.greet_interval(), Timer::Greet));
        }
        self.strangers.push_back(node);
    }

    fn greet_interval(&self) -> Duration {
        self.config.lookup_interval.max(LOOKUP_INTERVAL_MIN) / BUCKET_NODES as u32
    }

    fn greet(&mut self, now: Instant) {
        let Some(node) = self.strangers.pop_front() else { return };
        if !self.bonds.proven_to_us(node.id, node.ip, now) {
            self.send_ping(node, Why::default(), now);
        }
        if !self.strangers.is_empty() {
            self.timers.insert((now + self.greet_interval(), Timer::Greet));
        }
    }

    fn check(&mut self, check: Check, now: Instant) {
        let (timer, mean) = match check {
            Check::New => (Timer::CheckNew, CHECK_NEW_INTERVAL),
            Check::Proven => (Timer::CheckProven, CHECK_PROVEN_INTERVAL),
        };
        // Random between half and one and a half, so that nobody knows when it is looked at.
        let wait = mean.mul_f64(self.rng.random_range(0.5..1.5));
        self.timers.insert((now + wait, timer));
        if let Some(node) = self.table.next_check(check, now, &mut self.rng).cloned() {
            self.send_ping(node, Why { check: true, asked: false }, now);
        }
    }
}
