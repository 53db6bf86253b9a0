//! eth/72: transactions that come without their blobs, and these in cells.

use super::*;
use crate::{Stripped, blobs as kzg, cells_list};
use alloy_consensus::{SidecarBuilder, SimpleCoder, TxEip4844};
use alloy_eips::eip7594::BlobTransactionSidecarVariant;
use starling_devp2p::eth::{CellMask, Cells};
use starling_primitives::Address;
use std::sync::OnceLock;

/// A transaction with a blob, in all its forms.
#[derive(Clone)]
struct Sample {
    tx: Arc<PooledTx>,
    whole: Bytes,
    bare: Bytes,
    sidecar: Arc<BlobTransactionSidecarVariant>,
}

impl Sample {
    fn hash(&self) -> TxHash {
        self.tx.hash
    }

    /// Its cells as they travel.
    fn cells(&self, mask: CellMask) -> Cells {
        let list = cells_list(self.sidecar.blobs(), mask).expect("cells");
        Cells { hashes: vec![self.hash()], lists: vec![list], mask }
    }
}

/// Transactions of key 1, with the same blob.
fn samples() -> &'static [Sample] {
    static SAMPLES: OnceLock<Vec<Sample>> = OnceLock::new();
    SAMPLES.get_or_init(|| {
        let plain = SidecarBuilder::<SimpleCoder>::from_slice(b"some text").build_4844().expect("a sidecar");
        let hashes: Vec<_> = plain.versioned_hashes().collect();
        let sidecar = BlobTransactionSidecarVariant::Eip4844(plain).try_convert_into_eip7594().expect("new proofs");
        let sidecar = Arc::new(sidecar);
        let sample = |nonce| {
            let tx = TxEip4844 {
                chain_id: testing::CHAIN_ID,
                nonce,
                gas_limit: 21_000,
                max_fee_per_gas: testing::FEE_CAP,
                max_fee_per_blob_gas: 1,
                to: Address::repeat_byte(0x11),
                blob_versioned_hashes: hashes.clone(),
                ..Default::default()
            };
            let tx = testing::sign(tx, 1);
            let whole = kzg::join(&tx, &sidecar).expect("an envelope");
            let bare = kzg::strip(&whole).expect("blobs");
            let mut tx = PooledTx::new(tx, testing::address(1), None, Origin::Local, Instant::now());
            tx.size_bytes = whole.len();
            Sample { tx: Arc::new(tx), whole, bare, sidecar: sidecar.clone() }
        };
        (0..40).map(sample).collect()
    })
}

const BLOB: u8 = 3;

/// What a peer says of them: without blobs and with a mask, or with them.
fn announced(samples: &[Sample], mask: Option<CellMask>) -> PooledHashes {
    let size = |one: &Sample| if mask.is_some() { one.bare.len() } else { one.whole.len() };
    PooledHashes {
        types: vec![BLOB; samples.len()],
        sizes: samples.iter().map(|one| size(one) as u32).collect(),
        hashes: samples.iter().map(Sample::hash).collect(),
        mask,
    }
}

fn blob_round(versions: &[EthVersion]) -> Round {
    let mut round = Round::new(0);
    round.gossip = Gossip::new(GossipConfig { fetch_blobs: true, ..GossipConfig::default() }, SEED);
    for (who, version) in (1..).zip(versions) {
        round.join(who, *version);
    }
    round
}

impl Round {
    fn announce_blobs(&mut self, who: u8, samples: &[Sample], mask: Option<CellMask>) {
        self.event(GossipEvent::Announced { peer: peer(who), announced: announced(samples, mask) });
    }

    /// Answers a request for transactions.
    fn answer(&mut self, (peer, request): (PeerId, u64), items: &[&Bytes]) {
        let transactions = items.iter().map(|envelope| kzg::wrap(envelope)).collect();
        self.event(GossipEvent::Pooled { peer, request, transactions });
    }

    /// Runs what is to be verified; the pool would take everything, and what it was given whole is counted.
    fn verify_blobs(&mut self) -> (usize, Vec<GossipAction>) {
        let (mut whole, mut others) = (0, Vec::new());
        while let Some(action) = self.gossip.poll() {
            match action {
                GossipAction::Verify(job) => {
                    let verified = job.run_with(|offer, _| {
                        whole += usize::from(matches!(offer, Offer::Whole(_)));
                        check_whole(&offer)
                    });
                    self.event(GossipEvent::Verified(verified));
                }
                other => others.push(other),
            }
        }
        (whole, others)
    }
}

/// As the pool would: the proofs of what is whole.
fn check_whole(offer: &Offer<'_>) -> Result<(), Refusal> {
    let Offer::Whole(envelope) = offer else { return Ok(()) };
    let (tx, sidecar) = kzg::split(envelope)?;
    let hashes = alloy_consensus::Transaction::blob_versioned_hashes(&tx).unwrap_or_default();
    kzg::check_proofs(starling_chainspec::Fork::Osaka, hashes, sidecar).map(drop)
}

fn asked_cells(action: &GossipAction) -> ((PeerId, u64), Vec<TxHash>, CellMask) {
    match action {
        GossipAction::RequestCells { peer, request, hashes, mask } => ((*peer, *request), hashes.clone(), *mask),
        other => panic!("{other:?}"),
    }
}

fn asked(round: &mut Round) -> ((PeerId, u64), Vec<TxHash>) {
    let (peer, request, hashes) = round.requests().remove(0);
    ((peer, request), hashes)
}

fn fault_of(action: &GossipAction) -> (PeerId, Fault) {
    match action {
        GossipAction::Penalise { peer, fault } => (*peer, *fault),
        other => panic!("{other:?}"),
    }
}

const V71: EthVersion = EthVersion::V71;
const V72: EthVersion = EthVersion::V72;

#[test]
fn peers_are_told_in_the_form_of_their_version() {
    let mut round = blob_round(&[V71, V72]);
    let sample = &samples()[0];
    let plain = txs(1).remove(0);
    for txs in [vec![sample.tx.clone()], vec![plain.clone()]] {
        round.event(GossipEvent::Pending(txs));
    }
    round.event(GossipEvent::Joined { peer: peer(3), version: V72, pending: vec![plain, sample.tx.clone()] });
    let mut told = Vec::new();
    for action in round.actions() {
        match action {
            GossipAction::Announce { peer, announced } => told.push((peer, announced.sizes, announced.mask)),
            GossipAction::Broadcast { transactions, .. } => assert_eq!(transactions.len(), 1, "never with blobs"),
            other => panic!("{other:?}"),
        }
    }
    let (whole, bare) = (sample.whole.len() as u32, sample.bare.len() as u32);
    assert!(told.contains(&(peer(1), vec![whole], None)));
    assert!(told.contains(&(peer(2), vec![bare], Some(CellMask::ALL))));
    let (_, sizes, mask) = told.last().expect("the new one");
    assert_eq!((sizes.len(), sizes[1], *mask), (2, bare, Some(CellMask::ALL)));

    // Without blobs the mask says nothing; with proofs of blobs there is no form for it.
    let mut old = (*samples()[1].tx).clone();
    old.size_bytes -= 127 * 49;
    assert_eq!(old.stripped_size_bytes(), None);
    let plain = testing::transfer(2, 0).pooled(Origin::Local);
    let pending = vec![Arc::new(old), Arc::new(plain)];
    round.event(GossipEvent::Joined { peer: peer(4), version: V72, pending });
    let [GossipAction::Announce { announced, .. }] = &round.actions()[..] else { panic!("one announcement") };
    assert_eq!((announced.hashes.len(), announced.mask), (1, Some(CellMask::EMPTY)));
}

#[test]
fn blobs_follow_their_transaction_from_the_same_peer() {
    let mut round = blob_round(&[V72, V72]);
    let sample = &samples()[0];
    round.announce_blobs(1, &samples()[..1], Some(CellMask::ALL));
    round.announce_blobs(2, &samples()[..1], Some(CellMask::ALL));
    round.pass(SOON);
    let (from, hashes) = asked(&mut round);
    assert_eq!(hashes, [sample.hash()]);
    round.answer(from, &[&sample.bare]);
    let (whole, actions) = round.verify_blobs();
    assert_eq!(whole, 0, "nothing is there to prove yet");
    let [action] = &actions[..] else { panic!("{actions:?}") };
    let (cells_from, hashes, mask) = asked_cells(action);
    assert_eq!((cells_from.0, hashes, mask), (from.0, vec![sample.hash()], CellMask::DATA));
    assert_ne!(cells_from.1, from.1);
    round.event(GossipEvent::Cells { peer: from.0, request: cells_from.1, cells: sample.cells(mask) });
    let (whole, actions) = round.verify_blobs();
    assert_eq!((whole, actions.len()), (1, 0));
    round.pass(LATE);
    assert!(round.actions().is_empty(), "settled");
    assert_eq!((round.gossip.next_deadline(), round.gossip.fetcher.wanted_count()), (None, 0));
}

#[test]
fn who_keeps_columns_back_is_asked_for_others_if_nobody_has_them_all() {
    let sample = &samples()[0];
    let half = CellMask::of(32..128);
    // Too few to make a blob of: as if nothing was said.
    let mut round = blob_round(&[V72]);
    round.announce_blobs(1, &samples()[..1], Some(CellMask::of(0..63)));
    round.pass(SOON);
    assert!(round.actions().is_empty());
    assert_eq!(round.gossip.fetcher.wanted_count(), 0);

    round.announce_blobs(1, &samples()[..1], Some(half));
    round.pass(SOON);
    let (from, _) = asked(&mut round);
    round.answer(from, &[&sample.bare]);
    let (_, actions) = round.verify_blobs();
    let (cells_from, _, mask) = asked_cells(&actions[0]);
    assert_eq!(mask, CellMask::of(32..96));
    round.event(GossipEvent::Cells { peer: from.0, request: cells_from.1, cells: sample.cells(mask) });
    assert_eq!(round.verify_blobs().0, 1);

    // Recovery is dear: as long as somebody has whole blobs, in whatever form, that one is asked; and when it leaves,
    // the other is.
    for (version, mask) in [(V72, Some(CellMask::ALL)), (V71, None)] {
        let mut round = blob_round(&[V72, version]);
        round.announce_blobs(1, &samples()[..1], Some(half));
        round.announce_blobs(2, &samples()[..1], mask);
        round.pass(SOON);
        assert_eq!(asked(&mut round).0.0, peer(2));
        round.event(GossipEvent::Left { peer: peer(2) });
        assert_eq!(asked(&mut round).0.0, peer(1));
        // As well if it was never its turn.
        let mut round = blob_round(&[V72, version]);
        round.announce_blobs(2, &samples()[1..2], mask);
        round.pass(SOON);
        assert_eq!(asked(&mut round).0.0, peer(2));
        round.announce_blobs(1, &samples()[..1], Some(half));
        round.announce_blobs(2, &samples()[..1], mask);
        round.pass(SOON);
        assert!(round.actions().is_empty(), "it is busy");
        round.event(GossipEvent::Left { peer: peer(2) });
        assert_eq!(asked(&mut round).0.0, peer(1));
    }
}

#[test]
fn either_version_does() {
    // The same transaction, announced whole and stripped: each answer is compared with what its sender announced.
    for first in [1, 2] {
        let mut round = blob_round(&[V71, V72]);
        let sample = &samples()[0];
        if first == 1 {
            round.announce_blobs(1, &samples()[..1], None);
        } else {
            round.announce_blobs(2, &samples()[..1], Some(CellMask::ALL));
        }
        round.pass(SOON);
        let (from, _) = asked(&mut round);
        round.announce_blobs(1, &samples()[..1], None);
        round.announce_blobs(2, &samples()[..1], Some(CellMask::ALL));
        // The first one asked fails, the other version delivers.
        round.event(GossipEvent::Failed { peer: from.0, request: from.1 });
        let (other, _) = asked(&mut round);
        assert_ne!(from.0, other.0);
        if other.0 == peer(1) {
            round.answer(other, &[&sample.whole]);
            assert_eq!(round.verify_blobs().0, 1);
        } else {
            round.answer(other, &[&sample.bare]);
            let (cells_from, _, mask) = asked_cells(&round.verify_blobs().1[0]);
            round.event(GossipEvent::Cells { peer: other.0, request: cells_from.1, cells: sample.cells(mask) });
            assert_eq!(round.verify_blobs().0, 1);
        }
        round.pass(LATE);
        assert!(round.actions().is_empty());
    }
}

#[test]
fn liars_are_found_out_and_others_are_asked() {
    let sample = &samples()[0];
    // What is sent in place of the transaction without blobs.
    let check = |answer: &Bytes, expect: Fault| {
        let mut round = blob_round(&[V72, V72]);
        round.announce_blobs(1, &samples()[..1], Some(CellMask::ALL));
        round.announce_blobs(2, &samples()[..1], Some(CellMask::ALL));
        round.pass(SOON);
        let (liar, _) = asked(&mut round);
        round.answer(liar, &[answer]);
        let (whole, actions) = round.verify_blobs();
        assert_eq!((whole, fault_of(&actions[0])), (0, (liar.0, expect)));
        assert!(matches!(&actions[1], GossipAction::Request { peer, .. } if *peer != liar.0), "{actions:?}");
    };
    check(&sample.whole, Fault::BadAnnouncement);
    check(&alloy_eips::eip2718::Encodable2718::encoded_2718(&sample.tx.tx).into(), Fault::BadAnnouncement);
    let mut wrong = sample.bare.to_vec();
    let at = wrong.len() - 128 * 49 - 20;
    wrong[at] ^= 1;
    check(&wrong.into(), Fault::BadAnnouncement);

    // What is sent in place of the cells.
    let check = |change: &dyn Fn(&mut Cells), expect: Fault| {
        let mut round = blob_round(&[V72, V72]);
        round.announce_blobs(1, &samples()[..1], Some(CellMask::ALL));
        round.announce_blobs(2, &samples()[..1], Some(CellMask::ALL));
        round.pass(SOON);
        let (liar, _) = asked(&mut round);
        round.answer(liar, &[&sample.bare]);
        let (cells_from, _, mask) = asked_cells(&round.verify_blobs().1[0]);
        let mut cells = sample.cells(mask);
        change(&mut cells);
        round.event(GossipEvent::Cells { peer: liar.0, request: cells_from.1, cells });
        let (_, actions) = round.verify_blobs();
        assert_eq!(fault_of(&actions[0]), (liar.0, expect));
        assert!(matches!(&actions[1], GossipAction::Request { peer, .. } if *peer != liar.0), "{actions:?}");
    };
    let spoil = |cells: &mut Cells| {
        let mut list = cells.lists[0].to_vec();
        list[100] ^= 1;
        cells.lists[0] = list.into();
    };
    check(&spoil, Fault::BadCells);
    check(&|cells| cells.lists[0] = samples()[0].cells(CellMask::of(0..32)).lists.remove(0), Fault::BadCells);
    check(&|cells| *cells = sample.cells(CellMask::ALL), Fault::Unasked);
    check(&|cells| cells.hashes[0] = samples()[1].hash(), Fault::Unasked);
    check(&|cells| *cells = Cells::default(), Fault::UselessAnswer);
    check(&|cells| cells.lists[0] = Bytes::from_static(&[0xc0]), Fault::UselessAnswer);
    check(&|cells| *cells = sample.cells(CellMask::of(0..32)), Fault::UselessAnswer);
    let twice = |cells: &mut Cells| {
        cells.hashes.push(cells.hashes[0]);
        cells.lists.push(cells.lists[0].clone());
    };
    check(&twice, Fault::Unasked);
}

#[test]
fn who_is_silent_about_cells_is_passed_over() {
    let mut round = blob_round(&[V72, V72]);
    let sample = &samples()[0];
    round.announce_blobs(1, &samples()[..1], Some(CellMask::ALL));
    round.announce_blobs(2, &samples()[..1], Some(CellMask::ALL));
    round.pass(SOON);
    let (silent, _) = asked(&mut round);
    round.answer(silent, &[&sample.bare]);
    let (late, _, mask) = asked_cells(&round.verify_blobs().1[0]);
    round.pass(LATE);
    let actions = round.actions();
    assert_eq!(fault_of(&actions[0]), (silent.0, Fault::NoAnswer));
    let [_, GossipAction::Request { peer: other, request, .. }] = &actions[..] else { panic!("{actions:?}") };
    assert_ne!(*other, silent.0);
    // A late answer is welcome still, and then the other one's is not needed any more.
    round.event(GossipEvent::Cells { peer: silent.0, request: late.1, cells: sample.cells(mask) });
    assert_eq!(round.verify_blobs().0, 1);
    round.answer((*other, *request), &[&sample.bare]);
    let (_, actions) = round.verify_blobs();
    assert!(actions.is_empty(), "{actions:?}");
    // Answers to nothing, of the wrong kind, and of strangers.
    for (who, request) in [(silent.0, late.1), (*other, *request), (peer(9), late.1)] {
        round.event(GossipEvent::Cells { peer: who, request, cells: sample.cells(mask) });
        assert_eq!(round.faults(), [(who, Fault::Unasked)]);
    }
    round.pass(Duration::from_secs(60));
    assert!(round.actions().is_empty());
}

#[test]
fn who_leaves_with_cells_unsent_leaves_them_to_others() {
    let mut round = blob_round(&[V72, V72]);
    round.announce_blobs(1, &samples()[..2], Some(CellMask::ALL));
    round.announce_blobs(2, &samples()[..2], Some(CellMask::ALL));
    round.pass(SOON);
    let (gone, _) = asked(&mut round);
    round.answer(gone, &[&samples()[0].bare, &samples()[1].bare]);
    assert_eq!(asked_cells(&round.verify_blobs().1[0]).1.len(), 2);
    round.event(GossipEvent::Left { peer: gone.0 });
    let (other, hashes) = asked(&mut round);
    assert_ne!(other.0, gone.0);
    assert_eq!(hashes.len(), 2);
    round.event(GossipEvent::Left { peer: other.0 });
    assert!(round.actions().is_empty());
    assert_eq!((round.gossip.next_deadline(), round.gossip.fetcher.wanted_count()), (None, 0));
}

#[test]
fn what_is_asked_at_once_fits_into_one_answer_of_cells() {
    let mut round = blob_round(&[V72]);
    round.announce_blobs(1, samples(), Some(CellMask::ALL));
    round.pass(SOON);
    let mut fetched = Vec::new();
    let (mut from, mut hashes) = asked(&mut round);
    loop {
        // Sixteen blobs are two megabytes of cells.
        assert!(hashes.len() <= 16, "{}", hashes.len());
        let of = |hash: &TxHash| samples().iter().find(|one| one.hash() == *hash).expect("one of them");
        let answer: Vec<&Bytes> = hashes.iter().map(|hash| &of(hash).bare).collect();
        round.answer(from, &answer);
        let (cells_from, hashes_of_cells, mask) = asked_cells(&round.verify_blobs().1[0]);
        assert_eq!((&hashes_of_cells, mask), (&hashes, CellMask::DATA));
        // All but the last one: what did not fit is asked for again.
        let sent = hashes.len().min(15);
        let lists = hashes[..sent].iter().map(|hash| of(hash).cells(mask).lists.remove(0)).collect();
        let cells = Cells { hashes: hashes[..sent].to_vec(), lists, mask };
        round.event(GossipEvent::Cells { peer: from.0, request: cells_from.1, cells });
        // Their proofs are those of the other tests; here they are believed.
        let Some(GossipAction::Verify(job)) = round.gossip.poll() else { panic!("to be verified") };
        round.event(GossipEvent::Verified(job.run_with(|_, _| Ok(()))));
        fetched.extend(hashes[..sent].to_vec());
        match &round.actions()[..] {
            [] => break,
            [GossipAction::Request { peer, request, hashes: next }] => {
                (from, hashes) = ((*peer, *request), next.clone())
            }
            other => panic!("{other:?}"),
        }
    }
    fetched.sort_unstable();
    fetched.dedup();
    assert_eq!(fetched.len(), samples().len());
    assert_eq!(round.gossip.fetcher.wanted_count(), 0);
}

#[test]
fn a_stripped_transaction_says_little_of_itself() {
    let stripped = Stripped::read(&samples()[0].bare).expect("as it must be");
    assert!(format!("{stripped:?}").len() < 200, "its bytes are no matter for logs");
}
