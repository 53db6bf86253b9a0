//! The peers as sync sees them: what each may have, how fast it is, whether it is being asked already.

use crate::{
    border::{Fault, PeerInfo},
    rates::{self, Kind, Rates},
};
use starling_devp2p::eth::BlockRange;
use starling_primitives::{PeerId, U256};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Peers that are looked at. The network has far fewer slots; any above are ignored.
const PEERS_MAX: usize = 1024;
/// Requests of each kind that one peer has at a time. Two for bodies: while one answer travels, the next is made.
const IN_FLIGHT_MAX: [u8; 2] = [1, 2];
/// Pause after the first empty answer or time-out in a row; each further one doubles it.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_DOUBLINGS_MAX: u32 = 5;
/// After so many time-outs in a row, and each further one, the peer is reported.
const TIMEOUTS_MAX: u32 = 3;
/// After so many empty answers in a row about blocks of its own range, and each further one, it is reported.
const EMPTIES_MAX: u32 = 5;

/// A peer.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) info: PeerInfo,
    pub(crate) rates: Rates,
    in_flight: [u8; 2],
    paused_until: [Option<Instant>; 2],
    empties: [u32; 2],
    timeouts: u32,
    /// It lied. It is not asked again; the network will drop it.
    is_liar: bool,
    /// Its canonical chain is not the target's, so numbers mean other blocks to it. Until its head moves.
    pub(crate) is_off_chain: bool,
    /// What it offers by total difficulty cannot be followed: its chain leaves ours below the frontier, or it
    /// lacks what it offers. Until its head moves.
    pub(crate) is_unfollowable: bool,
}

/// All peers, in the order of their ids, so that equal histories lead to equal decisions.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    peers: BTreeMap<PeerId, Peer>,
}

impl Peers {
    pub(crate) fn join(&mut self, id: PeerId, info: PeerInfo) {
        if self.peers.len() >= PEERS_MAX {
            return;
        }
        let peer = Peer {
            info,
            rates: self.usual_rates(),
            in_flight: [0; 2],
            paused_until: [None; 2],
            empties: [0; 2],
            timeouts: 0,
            is_liar: false,
            is_off_chain: false,
            is_unfollowable: false,
        };
        self.peers.insert(id, peer);
    }

    pub(crate) fn update(&mut self, id: &PeerId, info: PeerInfo) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        peer.info = info;
        peer.is_off_chain = false;
        peer.is_unfollowable = false;
        // It may have by now what it lacked.
        peer.empties = [0; 2];
        if peer.timeouts == 0 {
            peer.paused_until = [None; 2];
        }
    }

    pub(crate) fn leave(&mut self, id: &PeerId) {
        self.peers.remove(id);
    }

    pub(crate) fn get(&self, id: &PeerId) -> Option<&Peer> {
        self.peers.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: &PeerId) -> Option<&mut Peer> {
        self.peers.get_mut(id)
    }

    /// Peers that have not lied.
    pub(crate) fn honest(&self) -> impl Iterator<Item = (PeerId, &Peer)> {
        self.peers.iter().filter(|(_, peer)| !peer.is_liar).map(|(id, peer)| (*id, peer))
    }

    /// Whom to ask now, the quickest first.
    pub(crate) fn idle(&self, kind: Kind, now: Instant) -> Vec<PeerId> {
        let mut idle: Vec<_> = self.honest().filter(|(_, peer)| peer.is_idle(kind, now)).collect();
        idle.sort_by(|(_, a), (_, b)| b.rates.throughput(kind).total_cmp(&a.rates.throughput(kind)));
        idle.into_iter().map(|(id, _)| id).collect()
    }

    /// Whether one peer could be asked now.
    pub(crate) fn is_idle(&self, id: &PeerId, kind: Kind, now: Instant) -> bool {
        self.peers.get(id).is_some_and(|peer| !peer.is_liar && peer.is_idle(kind, now))
    }

    pub(crate) fn asked(&mut self, id: &PeerId, kind: Kind) {
        if let Some(peer) = self.peers.get_mut(id) {
            peer.in_flight[kind as usize] += 1;
        }
    }

    /// A request is over, one way or the other.
    pub(crate) fn settled(&mut self, id: &PeerId, kind: Kind) {
        if let Some(peer) = self.peers.get_mut(id) {
            peer.in_flight[kind as usize] = peer.in_flight[kind as usize].saturating_sub(1);
        }
    }

    /// An answer came. A fault if it was empty once too often.
    pub(crate) fn answered(
        &mut self,
        id: &PeerId,
        kind: Kind,
        items: usize,
        elapsed: Duration,
        within_range: bool,
        now: Instant,
    ) -> Option<Fault> {
        let peer = self.peers.get_mut(id)?;
        peer.timeouts = 0;
        if items > 0 {
            peer.empties[kind as usize] = 0;
            peer.rates.answered(kind, items, elapsed);
            return None;
        }
        let empties = &mut peer.empties[kind as usize];
        *empties += 1;
        let is_useless = within_range && *empties >= EMPTIES_MAX;
        peer.paused_until[kind as usize] = Some(now + pause(*empties));
        is_useless.then_some(Fault::Useless)
    }

    /// No answer came in time. A fault if that happened once too often.
    pub(crate) fn timed_out(&mut self, id: &PeerId, kind: Kind, now: Instant) -> Option<Fault> {
        let peer = self.peers.get_mut(id)?;
        peer.timeouts += 1;
        peer.rates.timed_out(kind);
        peer.paused_until[kind as usize] = Some(now + pause(peer.timeouts));
        (peer.timeouts >= TIMEOUTS_MAX).then_some(Fault::Timeout)
    }

    /// False if that was known.
    pub(crate) fn mark_liar(&mut self, id: &PeerId) -> bool {
        self.peers.get_mut(id).is_some_and(|peer| !std::mem::replace(&mut peer.is_liar, true))
    }

    /// The end of the nearest pause.
    pub(crate) fn next_resume(&self, now: Instant) -> Option<Instant> {
        self.honest().flat_map(|(_, peer)| peer.paused_until).flatten().filter(|until| *until > now).min()
    }

    /// In which time an answer is expected.
    pub(crate) fn expected_round_trip(&self) -> Duration {
        rates::expected_round_trip(self.honest().map(|(_, peer)| &peer.rates))
    }

    /// Who claims the greatest total difficulty above ours.
    pub(crate) fn heaviest(&self, ours: U256) -> Option<(PeerId, U256)> {
        let claims = self.honest().filter(|(_, peer)| !peer.is_unfollowable);
        let claims = claims.filter_map(|(id, peer)| Some((id, peer.info.total_difficulty?)));
        claims.filter(|(_, claim)| *claim > ours).max_by_key(|(_, claim)| *claim)
    }

    /// What a peer that nothing is known of is taken for: the middle of the others.
    fn usual_rates(&self) -> Rates {
        let mut rates: Vec<_> = self.honest().map(|(_, peer)| &peer.rates).collect();
        rates.sort_by(|a, b| a.throughput(Kind::Bodies).total_cmp(&b.throughput(Kind::Bodies)));
        rates.get(rates.len() / 2).map_or_else(Rates::default, |middle| (*middle).clone())
    }
}

impl Peer {
    fn is_idle(&self, kind: Kind, now: Instant) -> bool {
        self.in_flight[kind as usize] < IN_FLIGHT_MAX[kind as usize]
            && self.paused_until[kind as usize].is_none_or(|until| until <= now)
    }

    /// Whether it may have a header or body of that number: none that says otherwise.
    pub(crate) fn may_have(&self, kind: Kind, number: u64) -> bool {
        self.info.range.is_none() || self.claims(kind, number)
    }

    /// Whether it says that it has it. Headers are had from genesis on, whatever the range begins with.
    pub(crate) fn claims(&self, kind: Kind, number: u64) -> bool {
        let has = |range: BlockRange| number <= range.latest && (kind == Kind::Headers || number >= range.earliest);
        self.info.range.is_some_and(has)
    }
}

fn pause(in_a_row: u32) -> Duration {
    PAUSE_FIRST * 2u32.pow(in_a_row.saturating_sub(1).min(PAUSE_DOUBLINGS_MAX))
}
