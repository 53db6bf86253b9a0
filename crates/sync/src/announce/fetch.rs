//! Fetching announced blocks: header and body at once, from one announcer after the other.

use crate::{Fault, job::block_rlp};
use starling_devp2p::eth::{BlockId, GetBlockHeaders, HashOrNumber, Request, Response};
use starling_primitives::{B256, Bytes, PeerId, keccak256};
use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

/// The block itself is often on its way when its hash comes.
const WAIT_FOR_BROADCAST: Duration = Duration::from_millis(100);
/// Who has not answered by then is passed over for the next announcer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(3);
/// Announced blocks that are not fetched yet. When full, more are not taken.
const WANTED_MAX: usize = 256;
/// The same of one peer.
const WANTED_PER_PEER_MAX: usize = 32;
/// Announcers of one block that are remembered.
const ANNOUNCERS_MAX: usize = 8;
/// The first request id: above all that the syncer ever counts to.
const FIRST_ID: u64 = 1 << 62;

/// Whether a request is one of these, by its id.
pub fn is_own_request(id: u64) -> bool {
    id & (3 << 62) == FIRST_ID
}

/// See the module.
#[derive(Debug)]
pub(super) struct Fetcher {
    wanted: BTreeMap<B256, Wanted>,
    requests: BTreeMap<u64, B256>,
    next_id: u64,
}

#[derive(Debug)]
struct Wanted {
    announcers: VecDeque<PeerId>,
    state: State,
}

#[derive(Debug)]
enum State {
    Waits { until: Instant },
    Asked { peer: PeerId, until: Instant, header: Part, body: Part },
}

#[derive(Debug)]
enum Part {
    Asked(u64),
    Came(Bytes),
}

/// What an answer led to.
#[derive(Debug)]
pub(super) enum Fetched {
    Nothing,
    Fault(Fault),
    Block { from: PeerId, rlp: Bytes },
}

impl Default for Fetcher {
    fn default() -> Self {
        Self { wanted: BTreeMap::new(), requests: BTreeMap::new(), next_id: FIRST_ID }
    }
}

impl Fetcher {
    /// A peer has a block that is not known here.
    pub(super) fn announced(&mut self, peer: PeerId, block: BlockId, now: Instant) {
        if let Some(wanted) = self.wanted.get_mut(&block.hash) {
            if wanted.announcers.len() < ANNOUNCERS_MAX && !wanted.announcers.contains(&peer) {
                wanted.announcers.push_back(peer);
            }
            return;
        }
        let of_peer = self.wanted.values().filter(|wanted| wanted.announcers.front() == Some(&peer)).count();
        if self.wanted.len() < WANTED_MAX && of_peer < WANTED_PER_PEER_MAX {
            let state = State::Waits { until: now + WAIT_FOR_BROADCAST };
            self.wanted.insert(block.hash, Wanted { announcers: [peer].into(), state });
        }
    }

    /// The block is here.
    pub(super) fn forget(&mut self, hash: &B256) {
        self.wanted.remove(hash);
        self.requests.retain(|_, asked| asked != hash);
    }

    pub(super) fn left(&mut self, peer: &PeerId, now: Instant) {
        for wanted in self.wanted.values_mut() {
            wanted.announcers.retain(|announcer| announcer != peer);
            if matches!(&wanted.state, State::Asked { peer: asked, .. } if asked == peer) {
                wanted.state = State::Waits { until: now };
            }
        }
        self.tidy();
    }

    pub(super) fn failed(&mut self, peer: &PeerId, id: u64, now: Instant) {
        let Some(hash) = self.requests.get(&id).copied() else { return };
        self.pass_over(&hash, peer, now);
        self.tidy();
    }

    /// The answer to a request, of the peer that was asked or of another one.
    pub(super) fn answered(&mut self, peer: &PeerId, id: u64, response: Response, now: Instant) -> Fetched {
        let Some(hash) = self.requests.get(&id).copied() else { return Fetched::Nothing };
        let Some(wanted) = self.wanted.get_mut(&hash) else { return Fetched::Nothing };
        let State::Asked { peer: asked, header, body, .. } = &mut wanted.state else { return Fetched::Nothing };
        if asked != peer {
            return Fetched::Nothing;
        }
        let (part, items, is_header) = match (response, &*header, &*body) {
            (Response::BlockHeaders(items), Part::Asked(own), _) if *own == id => (header, items, true),
            (Response::BlockBodies(items), _, Part::Asked(own)) if *own == id => (body, items, false),
            _ => return Fetched::Fault(Fault::BadAnswer),
        };
        let mut items = items.into_iter();
        let fault = match (items.next(), items.next()) {
            (Some(item), None) if !is_header || keccak256(&item) == hash => {
                *part = Part::Came(item);
                None
            }
            (Some(_), _) => Some(Fault::BadHeaders),
            // It may have left that block since.
            (None, _) => Some(Fault::Useless),
        };
        self.requests.remove(&id);
        if let Some(fault) = fault {
            self.pass_over(&hash, peer, now);
            self.tidy();
            return Fetched::Fault(fault);
        }
        self.whole(&hash)
    }

    fn whole(&mut self, hash: &B256) -> Fetched {
        let Some(Wanted {
            state: State::Asked { peer, header: Part::Came(header), body: Part::Came(body), .. }, ..
        }) = self.wanted.get(hash)
        else {
            return Fetched::Nothing;
        };
        let from = *peer;
        let block = block_rlp(header, body);
        self.forget(hash);
        match block {
            Ok(rlp) => Fetched::Block { from, rlp },
            Err(_) => Fetched::Fault(Fault::BadBodies),
        }
    }

    /// The requests to be made now.
    pub(super) fn due(&mut self, now: Instant) -> Vec<(PeerId, u64, Request)> {
        let late: Vec<_> = self
            .wanted
            .iter()
            .filter_map(|(hash, wanted)| match &wanted.state {
                State::Asked { peer, until, .. } if *until <= now => Some((*hash, *peer)),
                _ => None,
            })
            .collect();
        late.into_iter().for_each(|(hash, peer)| self.pass_over(&hash, &peer, now));
        self.tidy();
        let mut requests = Vec::new();
        for (hash, wanted) in &mut self.wanted {
            if !matches!(wanted.state, State::Waits { until } if until <= now) {
                continue;
            }
            let Some(peer) = wanted.announcers.front().copied() else { continue };
            let [header, body] = [self.next_id, self.next_id + 1];
            self.next_id += 2;
            self.requests.extend([(header, *hash), (body, *hash)]);
            wanted.state = State::Asked {
                peer,
                until: now + ANSWER_TIME_MAX,
                header: Part::Asked(header),
                body: Part::Asked(body),
            };
            let one = GetBlockHeaders { start: HashOrNumber::Hash(*hash), limit: 1, skip: 0, reverse: false };
            requests.push((peer, header, Request::BlockHeaders(one)));
            requests.push((peer, body, Request::BlockBodies(vec![*hash])));
        }
        requests
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let times = self.wanted.values().map(|wanted| match wanted.state {
            State::Waits { until } | State::Asked { until, .. } => until,
        });
        times.min()
    }

    /// The next announcer is asked instead of this one.
    fn pass_over(&mut self, hash: &B256, peer: &PeerId, now: Instant) {
        if let Some(wanted) = self.wanted.get_mut(hash) {
            wanted.announcers.retain(|announcer| announcer != peer);
            wanted.state = State::Waits { until: now };
        }
        self.requests.retain(|_, asked| asked != hash);
    }

    /// What nobody is left to be asked for is given up.
    fn tidy(&mut self) {
        self.wanted.retain(|_, wanted| !wanted.announcers.is_empty());
        let wanted = &self.wanted;
        self.requests.retain(|_, hash| wanted.contains_key(hash));
    }
}
