use super::{GossipAction, Peer, encode_item};
use crate::{Origin, PooledTx};
use alloy_consensus::Typed2718;
use starling_devp2p::eth::{CellMask, EthVersion, PooledHashes};
use starling_primitives::{Address, Bytes, PeerId, TxHash};
use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

/// Transactions above this are announced to everybody: to send them in full costs more than a request saves.
const BROADCAST_TX_BYTES_MAX: usize = 4_096;
/// Bytes after which a broadcast is sent and a new one begun.
pub(super) const BROADCAST_BYTES_MAX: usize = 100 << 10;
/// Most transactions in one announcement, by the protocol.
const ANNOUNCEMENT_MAX: usize = 4_096;

const _: () = assert!(BROADCAST_TX_BYTES_MAX < BROADCAST_BYTES_MAX);

/// Chooses who gets a transaction in full and who is told of it.
#[derive(Debug)]
pub(super) struct Spread {
    seed: u64,
}

/// What one peer gets out of a batch.
#[derive(Default)]
struct Parcel<'a> {
    full: Vec<(TxHash, Bytes)>,
    told: Vec<&'a PooledTx>,
}

impl Spread {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Everybody hears of these who has not yet.
    pub(super) fn spread(&self, txs: &[Arc<PooledTx>], peers: &mut BTreeMap<PeerId, Peer>) -> Vec<GossipAction> {
        let mut parcels: BTreeMap<PeerId, Parcel<'_>> = BTreeMap::new();
        let mut chosen = (None, BTreeSet::new());
        for tx in txs.iter().filter(|tx| tx.origin != Origin::Private) {
            if let Origin::Peer(from) = tx.origin
                && let Some(from) = peers.get_mut(&from)
            {
                from.known.insert(&tx.hash);
            }
            if chosen.0 != Some(tx.sender) {
                chosen = (Some(tx.sender), self.choose(tx.sender, peers));
            }
            let broadcast = tx.size_bytes <= BROADCAST_TX_BYTES_MAX && !tx.tx.is_eip4844();
            let mut item = None;
            for (id, peer) in peers.iter_mut().filter(|(_, peer)| !peer.known.contains(&tx.hash)) {
                if !can_fetch(peer.version, tx) {
                    continue;
                }
                peer.known.insert(&tx.hash);
                let parcel = parcels.entry(*id).or_default();
                let full = broadcast && chosen.1.contains(id);
                match full.then(|| item.get_or_insert_with(|| encode_item(tx))) {
                    Some(Some(item)) => parcel.full.push((tx.hash, item.clone())),
                    _ => parcel.told.push(tx),
                }
            }
        }
        let version = |peer: &PeerId| peers.get(peer).map_or(EthVersion::SETTLED, |peer| peer.version);
        parcels.into_iter().flat_map(|(peer, parcel)| pack(peer, version(&peer), parcel)).collect()
    }

    /// One peer hears of all of these.
    pub(super) fn announce_to(
        &self,
        id: PeerId,
        txs: &[Arc<PooledTx>],
        peers: &mut BTreeMap<PeerId, Peer>,
    ) -> Vec<GossipAction> {
        let Some(peer) = peers.get_mut(&id) else { return Vec::new() };
        let mut told = Vec::new();
        let is_for_it = |tx: &PooledTx| tx.origin != Origin::Private && tx.origin != Origin::Peer(id);
        for tx in txs.iter().filter(|tx| is_for_it(tx) && can_fetch(peer.version, tx)) {
            peer.known.insert(&tx.hash);
            told.push(&**tx);
        }
        pack(id, peer.version, Parcel { full: Vec::new(), told }).collect()
    }

    /// The ⌈√n⌉ peers that get this account's transactions in full: always the same as long as the peers are.
    fn choose(&self, sender: Address, peers: &BTreeMap<PeerId, Peer>) -> BTreeSet<PeerId> {
        let mut ranks: Vec<_> = peers.keys().map(|peer| (self.rank(&sender, peer), *peer)).collect();
        let count = (1..).find(|root| root * root >= ranks.len()).unwrap_or(ranks.len()).min(ranks.len());
        ranks.sort_unstable();
        ranks.into_iter().take(count).map(|(_, peer)| peer).collect()
    }

    fn rank(&self, sender: &Address, peer: &PeerId) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.seed, sender, peer).hash(&mut hasher);
        hasher.finish()
    }
}

/// Whether a peer of that version could fetch it: since eth/72 blobs must have proofs of cells. The version is offered
/// from Osaka on, which has such proofs made; what still has others then is known to the peers of before.
fn can_fetch(version: EthVersion, tx: &PooledTx) -> bool {
    !version.has_cells() || !tx.tx.is_eip4844() || tx.stripped_size_bytes().is_some()
}

/// What a peer is told of some. We have all columns of all blobs, so one mask does for them; for those without blobs it
/// says nothing.
fn announcement(version: EthVersion, told: &[&PooledTx]) -> PooledHashes {
    let size = |tx: &PooledTx| match version.has_cells() {
        true => tx.stripped_size_bytes().unwrap_or(tx.size_bytes),
        false => tx.size_bytes,
    };
    let has_blobs = told.iter().any(|tx| tx.tx.is_eip4844());
    PooledHashes {
        types: told.iter().map(|tx| tx.tx.ty()).collect(),
        sizes: told.iter().map(|tx| u32::try_from(size(tx)).unwrap_or(u32::MAX)).collect(),
        hashes: told.iter().map(|tx| tx.hash).collect(),
        mask: version.has_cells().then_some(if has_blobs { CellMask::ALL } else { CellMask::EMPTY }),
    }
}

fn pack(peer: PeerId, version: EthVersion, parcel: Parcel<'_>) -> impl Iterator<Item = GossipAction> {
    let mut actions = Vec::new();
    let (mut transactions, mut hashes, mut bytes) = (Vec::new(), Vec::new(), 0);
    for (hash, item) in parcel.full {
        bytes += item.len();
        transactions.push(item);
        hashes.push(hash);
        if bytes >= BROADCAST_BYTES_MAX {
            let (transactions, hashes) = (std::mem::take(&mut transactions), std::mem::take(&mut hashes));
            actions.push(GossipAction::Broadcast { peer, transactions, hashes });
            bytes = 0;
        }
    }
    if !transactions.is_empty() {
        actions.push(GossipAction::Broadcast { peer, transactions, hashes });
    }
    for told in parcel.told.chunks(ANNOUNCEMENT_MAX) {
        actions.push(GossipAction::Announce { peer, announced: announcement(version, told) });
    }
    actions.into_iter()
}
