//! Scripted rounds: events in, actions out, time by hand.

mod blobs;

use super::*;
use crate::{Origin, Refusal, testing};
use alloy_primitives::keccak256;
use std::{collections::BTreeSet, time::Duration};

const SEED: u64 = 7;

struct Round {
    gossip: Gossip,
    now: Instant,
    /// What the pool has.
    known: BTreeSet<TxHash>,
}

impl Round {
    fn new(peers: u8) -> Self {
        let mut round =
            Self { gossip: Gossip::new(GossipConfig::default(), SEED), now: Instant::now(), known: BTreeSet::new() };
        for one in 1..=peers {
            round.join(one, EthVersion::V71);
        }
        assert!(round.actions().is_empty());
        round
    }

    fn join(&mut self, who: u8, version: EthVersion) {
        self.event(GossipEvent::Joined { peer: peer(who), version, pending: Vec::new() });
    }

    fn event(&mut self, event: GossipEvent) {
        let known = &self.known;
        self.gossip.handle(event, &|hash| known.contains(hash), self.now);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.gossip.handle_deadline(self.now);
    }

    fn actions(&mut self) -> Vec<GossipAction> {
        std::iter::from_fn(|| self.gossip.poll()).collect()
    }

    fn announce(&mut self, who: u8, txs: &[Arc<PooledTx>]) {
        let announced = PooledHashes {
            types: txs.iter().map(|tx| tx.tx.tx_type() as u8).collect(),
            sizes: txs.iter().map(|tx| tx.size_bytes as u32).collect(),
            hashes: txs.iter().map(|tx| tx.hash).collect(),
            mask: None,
        };
        self.event(GossipEvent::Announced { peer: peer(who), announced });
    }

    /// The requests that come out, as peer, number and hashes. Nothing else may come out.
    fn requests(&mut self) -> Vec<(PeerId, u64, Vec<TxHash>)> {
        let only = |action| match action {
            GossipAction::Request { peer, request, hashes } => (peer, request, hashes),
            other => panic!("{other:?}"),
        };
        self.actions().into_iter().map(only).collect()
    }

    fn faults(&mut self) -> Vec<(PeerId, Fault)> {
        let fault = |action| match action {
            GossipAction::Penalise { peer, fault } => Some((peer, fault)),
            _ => None,
        };
        self.actions().into_iter().filter_map(fault).collect()
    }

    /// Runs what is to be verified against a pool that takes all; gives the faults that follow.
    fn verify(&mut self, refusal: Option<Refusal>) -> Vec<(PeerId, Fault)> {
        let mut faults = Vec::new();
        for action in self.actions() {
            match action {
                GossipAction::Verify(job) => {
                    let verified = job.run_with(|_, _| refusal.clone().map_or(Ok(()), Err));
                    self.event(GossipEvent::Verified(verified));
                }
                GossipAction::Penalise { peer, fault } => faults.push((peer, fault)),
                other => panic!("{other:?}"),
            }
        }
        faults
    }
}

fn peer(one: u8) -> PeerId {
    PeerId::repeat_byte(one)
}

fn txs(count: u64) -> Vec<Arc<PooledTx>> {
    (0..count).map(|nonce| Arc::new(testing::transfer(1, nonce).pooled(Origin::Local))).collect()
}

fn items(txs: &[Arc<PooledTx>]) -> Vec<Bytes> {
    txs.iter().filter_map(|tx| encode_item(tx)).collect()
}

const SOON: Duration = Duration::from_millis(100);
const LATE: Duration = Duration::from_secs(5);

#[test]
fn a_root_of_the_peers_gets_it_in_full_and_the_others_hear_of_it() {
    for (peers, full_expected) in [(1, 1), (2, 2), (4, 2), (5, 3), (50, 8)] {
        let mut round = Round::new(peers);
        round.event(GossipEvent::Pending(txs(3)));
        let (mut full, mut told) = (BTreeSet::new(), BTreeSet::new());
        for action in round.actions() {
            match action {
                GossipAction::Broadcast { peer, transactions, hashes } => {
                    assert_eq!((transactions.len(), hashes.len()), (3, 3));
                    full.insert(peer);
                }
                GossipAction::Announce { peer, announced } => {
                    assert_eq!(announced.hashes.len(), 3);
                    told.insert(peer);
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((full.len(), full.len() + told.len()), (full_expected, peers.into()), "{peers} peers");
        assert!(full.is_disjoint(&told));
        round.event(GossipEvent::Pending(txs(3)));
        assert!(round.actions().is_empty(), "nobody is told twice");
    }
}

#[test]
fn private_ones_stay_and_those_of_a_peer_do_not_go_back() {
    let mut round = Round::new(2);
    let private = Arc::new(testing::transfer(1, 0).pooled(Origin::Private));
    round.event(GossipEvent::Pending(vec![private.clone()]));
    round.event(GossipEvent::Joined { peer: peer(3), version: EthVersion::V71, pending: vec![private] });
    assert!(round.actions().is_empty());
    let theirs = Arc::new(testing::transfer(2, 0).pooled(Origin::Peer(peer(1))));
    round.event(GossipEvent::Pending(vec![theirs]));
    for action in round.actions() {
        match action {
            GossipAction::Broadcast { peer: to, .. } | GossipAction::Announce { peer: to, .. } => {
                assert_ne!(to, peer(1))
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_new_peer_hears_of_what_is_pending() {
    let mut round = Round::new(0);
    round.event(GossipEvent::Joined { peer: peer(1), version: EthVersion::V71, pending: txs(5000) });
    let told: Vec<usize> = round
        .actions()
        .into_iter()
        .map(|action| match action {
            GossipAction::Announce { announced, .. } => announced.hashes.len(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, [4096, 904]);
}

#[test]
fn announced_ones_are_fetched_once_after_a_moment() {
    let mut round = Round::new(2);
    let txs = txs(3);
    round.known.insert(txs[2].hash);
    round.announce(1, &txs);
    round.announce(2, &txs);
    assert!(round.requests().is_empty());
    assert_eq!(round.gossip.next_deadline(), Some(round.now + SOON));
    round.pass(SOON);
    let [(who, request, hashes)] = &round.requests()[..] else { panic!("one request") };
    assert_eq!(hashes[..], [txs[0].hash, txs[1].hash]);
    round.event(GossipEvent::Pooled { peer: *who, request: *request, transactions: items(&txs[..2]) });
    assert!(round.verify(None).is_empty());
    round.pass(LATE);
    assert!(round.actions().is_empty(), "settled");
    assert_eq!(round.gossip.next_deadline(), None);
}

#[test]
fn what_comes_by_itself_is_not_asked_for() {
    let mut round = Round::new(2);
    let txs = txs(1);
    round.announce(1, &txs);
    round.event(GossipEvent::Transactions { peer: peer(2), transactions: items(&txs) });
    assert!(round.verify(None).is_empty());
    round.pass(SOON);
    assert!(round.actions().is_empty());
}

#[test]
fn who_does_not_answer_is_passed_over() {
    let mut round = Round::new(2);
    let txs = txs(2);
    round.announce(1, &txs);
    round.announce(2, &txs);
    round.pass(SOON);
    let (silent, first, _) = round.requests().remove(0);
    round.pass(LATE);
    let mut actions = round.actions();
    assert!(matches!(actions.remove(0), GossipAction::Penalise { peer, fault: Fault::NoAnswer } if peer == silent));
    let [GossipAction::Request { peer: other, request, hashes }] = &actions[..] else { panic!("{actions:?}") };
    assert_ne!(*other, silent);
    assert_eq!(hashes.len(), 2);
    // The late answer is no fault, but too late.
    round.event(GossipEvent::Pooled { peer: silent, request: first, transactions: Vec::new() });
    assert_eq!(round.faults(), [(silent, Fault::UselessAnswer)]);
    round.event(GossipEvent::Pooled { peer: *other, request: *request, transactions: items(&txs) });
    assert!(round.verify(None).is_empty());
    round.pass(Duration::from_secs(60));
    assert!(round.actions().is_empty());
}

#[test]
fn a_peer_that_leaves_leaves_its_requests_to_others() {
    let mut round = Round::new(2);
    let txs = txs(2);
    round.announce(1, &txs);
    round.announce(2, &txs);
    round.pass(SOON);
    let (gone, ..) = round.requests().remove(0);
    round.event(GossipEvent::Left { peer: gone });
    let [(other, request, _)] = round.requests()[..] else { panic!("asked again") };
    round.event(GossipEvent::Failed { peer: other, request });
    assert!(round.actions().is_empty(), "nobody is left to ask");
    assert_eq!(round.gossip.next_deadline(), None);
}

#[test]
fn what_did_not_fit_into_an_answer_is_asked_for_again() {
    let mut round = Round::new(1);
    let txs = txs(4);
    round.announce(1, &txs);
    round.pass(SOON);
    let (who, request, _) = round.requests().remove(0);
    // The second was left out, the third is the last that fits.
    let answer = [txs[0].clone(), txs[2].clone()];
    round.event(GossipEvent::Pooled { peer: who, request, transactions: items(&answer) });
    assert!(round.verify(None).is_empty());
    let [(_, _, hashes)] = &round.requests()[..] else { panic!("one request") };
    assert_eq!(hashes[..], [txs[3].hash]);
}

#[test]
fn liars_are_found_out_before_a_signature_is_recovered() {
    let honest = txs(3);
    let check = |change: &dyn Fn(&mut PooledHashes), answer: Vec<Bytes>, checked: usize, expect: Fault| {
        let mut round = Round::new(1);
        let mut left = checked;
        let mut announced = PooledHashes {
            types: vec![2],
            sizes: vec![honest[0].size_bytes as u32],
            hashes: vec![honest[0].hash],
            mask: None,
        };
        change(&mut announced);
        round.event(GossipEvent::Announced { peer: peer(1), announced });
        round.pass(SOON);
        let (who, request, _) = round.requests().remove(0);
        round.event(GossipEvent::Pooled { peer: who, request, transactions: answer });
        for action in round.actions() {
            match action {
                GossipAction::Verify(job) => {
                    let verified = job.run_with(|_, _| {
                        left = left.checked_sub(1).expect("not to be checked");
                        Ok(())
                    });
                    round.event(GossipEvent::Verified(verified));
                }
                action => round.gossip.actions.push_back(action),
            }
        }
        assert_eq!(round.faults(), [(peer(1), expect)]);
        round.pass(Duration::from_secs(60));
        assert!(round.actions().is_empty(), "not asked again");
    };
    let same = |_: &mut PooledHashes| {};
    let one = || items(&honest[..1]);
    check(&|announced| announced.sizes[0] += 9, one(), 0, Fault::BadAnnouncement);
    check(&|announced| announced.types[0] = 1, one(), 0, Fault::BadAnnouncement);
    check(&same, items(&honest[1..2]), 0, Fault::Unasked);
    check(&same, items(&honest[..2]), 1, Fault::Unasked);
    check(&same, Vec::new(), 0, Fault::UselessAnswer);
    check(&same, vec![Bytes::from_static(&[0x82, 1, 2, 3])], 0, Fault::BadTransaction);
}

#[test]
fn wrong_blobs_are_asked_of_the_next_announcer() {
    let mut round = Round::new(2);
    let txs = txs(1);
    round.announce(1, &txs);
    round.announce(2, &txs);
    round.pass(SOON);
    let (liar, request, _) = round.requests().remove(0);
    round.event(GossipEvent::Pooled { peer: liar, request, transactions: items(&txs) });
    let Some(GossipAction::Verify(job)) = round.gossip.poll() else { panic!("to be verified") };
    round.event(GossipEvent::Verified(job.run_with(|_, _| Err(Refusal::Sidecar("wrong".to_owned())))));
    let mut actions = round.actions();
    assert!(matches!(actions[0], GossipAction::Penalise { peer, fault: Fault::BadAnnouncement } if peer == liar));
    assert!(matches!(actions.remove(1), GossipAction::Request { peer, .. } if peer != liar));
}

#[test]
fn what_comes_unasked_must_be_as_announced_too() {
    let mut round = Round::new(1);
    let txs = txs(2);
    let announced = PooledHashes {
        types: vec![2, 2],
        sizes: vec![300 << 10, 300 << 10],
        hashes: txs.iter().map(|tx| tx.hash).collect(),
        mask: None,
    };
    round.event(GossipEvent::Announced { peer: peer(1), announced });
    round.pass(SOON);
    let (who, request, hashes) = round.requests().remove(0);
    assert_eq!(hashes.len(), 1, "so large ones come one by one");
    round.event(GossipEvent::Pooled { peer: who, request, transactions: items(&txs[1..]) });
    let GossipAction::Verify(job) = round.actions().remove(0) else { panic!("to be verified") };
    round.event(GossipEvent::Verified(job.run_with(|_, _| panic!("not to be checked"))));
    assert_eq!(round.faults(), [(peer(1), Fault::BadAnnouncement)]);
}

#[test]
fn answers_to_nothing_are_faults() {
    let mut round = Round::new(2);
    round.event(GossipEvent::Pooled { peer: peer(1), request: 0, transactions: items(&txs(1)) });
    assert_eq!(round.faults(), [(peer(1), Fault::Unasked)]);
    round.announce(1, &txs(1));
    round.pass(SOON);
    let (_, request, _) = round.requests().remove(0);
    round.event(GossipEvent::Pooled { peer: peer(2), request, transactions: items(&txs(1)) });
    assert_eq!(round.faults(), [(peer(2), Fault::Unasked)]);
}

#[test]
fn blobs_are_never_broadcast() {
    let mut round = Round::new(1);
    // The first byte of the envelope says it all.
    round.event(GossipEvent::Transactions { peer: peer(1), transactions: vec![Bytes::from_static(&[0x82, 3, 0xc0])] });
    assert_eq!(round.verify(None), [(peer(1), Fault::BlobBroadcast)]);
}

#[test]
fn refused_ones_are_not_fetched_for_a_while() {
    let mut round = Round::new(1);
    let txs = txs(1);
    round.event(GossipEvent::Transactions { peer: peer(1), transactions: items(&txs) });
    assert!(round.verify(Some(Refusal::Full)).is_empty());
    round.announce(1, &txs);
    round.pass(SOON);
    assert!(round.actions().is_empty());
    round.pass(Duration::from_secs(5 * 60));
    round.announce(1, &txs);
    round.pass(SOON);
    assert_eq!(round.requests().len(), 1);
}

#[test]
fn floods_are_cut() {
    let mut round = Round::new(1);
    let many = |from: u64| {
        let hashes: Vec<_> = (from..from + 4096).map(|one| keccak256(one.to_be_bytes())).collect();
        PooledHashes { types: vec![2; hashes.len()], sizes: vec![110; hashes.len()], hashes, mask: None }
    };
    for from in 0..10 {
        round.event(GossipEvent::Announced { peer: peer(1), announced: many(from * 4096) });
    }
    assert_eq!(round.gossip.fetcher.wanted_count(), 4096, "no more than that of one peer");
    round.event(GossipEvent::Left { peer: peer(1) });
    assert_eq!(round.gossip.fetcher.wanted_count(), 0);

    // Useless transactions use the budget up; useful ones do not.
    let one = items(&txs(1));
    for (refusal, faults_expected) in [(None, false), (Some(Refusal::Full), true)] {
        let mut round = Round::new(1);
        let mut faults = 0;
        for _ in 0..10_000 {
            round.event(GossipEvent::Transactions { peer: peer(1), transactions: one.clone() });
            faults += round.verify(refusal.clone()).len();
        }
        assert_eq!(faults > 0, faults_expected);
    }
}
