//! Blocks that are passed on, one node and its peers, on a chain of the fixtures from before the merge.

use crate::chain::{Source, rpc_compat};
use alloy_rlp::{Decodable, Encodable};
use starling_chain::{ChainCore, ImportOutcome};
use starling_devp2p::eth::{BlockId, HashOrNumber, NewBlock, Request, Response};
use starling_primitives::{B256, Block, BlockRef, Bytes, PeerId, U256};
use starling_state::BlockId as At;
use starling_sync::{
    Fault, ImportResult,
    announce::{AnnounceAction, AnnounceEvent, Announcer, Moment},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

const PEERS: u8 = 10;
const HEAD: u64 = 5;

struct Node {
    source: &'static Source,
    chain: ChainCore,
    announcer: Announcer,
    moment: Moment,
    /// Who was sent what: in full, by hash.
    full: BTreeMap<PeerId, Vec<B256>>,
    hashes: BTreeMap<PeerId, Vec<B256>>,
    faults: Vec<(PeerId, Fault)>,
    requests: Vec<(PeerId, u64, Request)>,
    claims: BTreeSet<B256>,
}

fn peer(number: u8) -> PeerId {
    PeerId::with_last_byte(number)
}

impl Node {
    /// A node at block 5 with ten peers; none where the fixtures are not there.
    fn new() -> Option<Self> {
        let source = rpc_compat()?;
        let mut chain = source.follower();
        for number in 1..=HEAD {
            assert_eq!(chain.import(source.block(number)).expect("imported"), ImportOutcome::Valid);
        }
        let mut node = Self {
            source,
            chain,
            announcer: Announcer::new(7),
            moment: Moment { now: Instant::now(), unix_secs: 1 << 40 },
            full: BTreeMap::new(),
            hashes: BTreeMap::new(),
            faults: Vec::new(),
            requests: Vec::new(),
            claims: BTreeSet::new(),
        };
        (0..PEERS).for_each(|number| node.event(AnnounceEvent::Joined { peer: peer(number) }));
        Some(node)
    }

    fn block(&self, number: u64) -> (B256, NewBlock) {
        let block = self.source.block(number);
        let total_difficulty =
            self.source.view().total_difficulty(block.at()).expect("readable").expect("before the merge");
        (block.hash, NewBlock { block: block.rlp.clone(), total_difficulty })
    }

    /// Something happens, and all that follows is carried out at once.
    fn event(&mut self, event: AnnounceEvent) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let view = self.chain.view();
            self.announcer.handle(event, &view, self.moment);
            while let Some(action) = self.announcer.poll() {
                match action {
                    AnnounceAction::Check(job) => events.push(AnnounceEvent::Checked(job.run(&view, false))),
                    AnnounceAction::Import(block) => {
                        let at = block.at();
                        let result = match self.chain.import(block).expect("the database works") {
                            ImportOutcome::Valid | ImportOutcome::Known => ImportResult::Kept,
                            other => ImportResult::Invalid { why: format!("{other:?}") },
                        };
                        events.push(AnnounceEvent::Imported { block: at, result });
                    }
                    AnnounceAction::SendBlock { peer, block } => {
                        let mut header: &[u8] = &block.block;
                        let hash = Block::decode(&mut header).expect("a block").header.hash_slow();
                        self.full.entry(peer).or_default().push(hash);
                    }
                    AnnounceAction::SendHashes { peer, blocks } => {
                        self.hashes.entry(peer).or_default().extend(blocks.iter().map(|block| block.hash));
                    }
                    AnnounceAction::Request { peer, id, request } => self.requests.push((peer, id, request)),
                    AnnounceAction::PeerHas { head, .. } => drop(self.claims.insert(head)),
                    AnnounceAction::Penalise { peer, fault } => self.faults.push((peer, fault)),
                    AnnounceAction::Refused { .. } => {}
                }
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        self.moment.now += time;
        self.moment.unix_secs += time.as_secs();
        self.event(AnnounceEvent::Tick);
    }

    /// Answers what was asked, as an honest peer does; whom it was asked.
    fn answer(&mut self) -> Vec<PeerId> {
        let mut asked = Vec::new();
        for (peer, id, request) in std::mem::take(&mut self.requests) {
            let response = match request {
                Request::BlockHeaders(wanted) => {
                    let HashOrNumber::Hash(hash) = wanted.start else { panic!("asked by number") };
                    let header = self.source.view().header(At::Hash(hash)).expect("readable").expect("there");
                    Response::BlockHeaders(vec![alloy_rlp::encode(header).into()])
                }
                Request::BlockBodies(hashes) => {
                    let block = self.source.view().block(At::Hash(hashes[0])).expect("readable").expect("there");
                    Response::BlockBodies(vec![body_of(&block.rlp)])
                }
                other => panic!("asked for {other:?}"),
            };
            asked.push(peer);
            self.event(AnnounceEvent::Answer { peer, id, response });
        }
        asked
    }

    fn head(&self) -> u64 {
        self.chain.head().number
    }
}

/// A body as it is sent: the block without its header.
fn body_of(rlp: &Bytes) -> Bytes {
    let mut rest: &[u8] = rlp;
    let mut items = alloy_rlp::Header::decode_bytes(&mut rest, true).expect("a list");
    alloy_rlp::Header::decode_bytes(&mut items, true).expect("a header");
    let mut body = Vec::new();
    alloy_rlp::Header { list: true, payload_length: items.len() }.encode(&mut body);
    body.extend_from_slice(items);
    body.into()
}

#[test]
fn a_block_is_passed_on_once_to_everybody() {
    let Some(mut node) = Node::new() else { return };
    let (hash, block) = node.block(6);
    node.event(AnnounceEvent::Block { peer: peer(0), block: block.clone() });
    assert_eq!(node.head(), 6);
    assert_eq!(node.full.len(), 4, "in full to the root of ten, rounded up");
    assert_eq!(node.full.len() + node.hashes.len(), usize::from(PEERS) - 1, "all but its sender");
    assert!(node.full.keys().all(|peer| !node.hashes.contains_key(peer)));
    assert!(node.claims.contains(&node.block(5).0), "who sends a block has its parent");
    // everybody sends it back: nothing follows
    for number in 0..PEERS {
        node.event(AnnounceEvent::Block { peer: peer(number), block: block.clone() });
    }
    assert!(node.full.values().chain(node.hashes.values()).all(|sent| sent == &[hash]));
    assert!(node.faults.is_empty() && node.requests.is_empty());
}

#[test]
fn an_announced_block_is_fetched_from_one_announcer_after_the_other() {
    let Some(mut node) = Node::new() else { return };
    let (hash, _) = node.block(6);
    for number in 0..3 {
        node.event(AnnounceEvent::Hashes { peer: peer(number), blocks: vec![BlockId { hash, number: 6 }] });
    }
    assert!(node.requests.is_empty(), "a broadcast may be on its way");
    node.pass(Duration::from_millis(100));
    assert_eq!(node.requests.iter().map(|(peer, ..)| *peer).collect::<Vec<_>>(), [peer(0), peer(0)]);
    // the first says nothing
    node.requests.clear();
    node.pass(Duration::from_secs(3));
    assert_eq!(node.answer(), [peer(1), peer(1)]);
    assert_eq!(node.head(), 6);
    assert_eq!(node.full.len() + node.hashes.len(), usize::from(PEERS) - 3, "all but its announcers");
}

#[test]
fn the_parents_of_an_orphan_are_fetched() {
    let Some(mut node) = Node::new() else { return };
    let (_, block) = node.block(9);
    node.event(AnnounceEvent::Block { peer: peer(3), block });
    assert_eq!((node.head(), node.claims.contains(&node.block(8).0)), (HEAD, true), "the syncer is told as well");
    for _ in 0..3 {
        node.pass(Duration::from_millis(100));
        assert_eq!(node.answer(), [peer(3), peer(3)]);
    }
    assert_eq!(node.head(), 9);
    assert!(node.faults.is_empty());
}

#[test]
fn what_breaks_a_rule_is_not_passed_on() {
    let Some(mut node) = Node::new() else { return };
    let (_, new) = node.block(6);
    let check = |node: &mut Node, change: fn(&mut Block)| {
        let mut block = Block::decode(&mut new.block.as_ref()).expect("a block");
        change(&mut block);
        let mut rlp = Vec::new();
        block.encode(&mut rlp);
        let changed = NewBlock { block: rlp.into(), total_difficulty: new.total_difficulty };
        node.event(AnnounceEvent::Block { peer: peer(1), block: changed });
    };
    check(&mut node, |block| block.header.difficulty += U256::from(1));
    check(&mut node, |block| block.header.timestamp = 0);
    assert_eq!(node.faults, [(peer(1), Fault::InvalidBlock); 2]);
    assert!(node.full.is_empty() && node.hashes.is_empty());
    // wrong only when it is run: its header was right, so it was passed on before, but no hash is told
    check(&mut node, |block| block.header.state_root = B256::ZERO);
    assert_eq!(node.faults.len(), 3);
    assert!(!node.full.is_empty() && node.hashes.is_empty());
    assert_eq!(node.head(), HEAD);
    node.event(AnnounceEvent::Block { peer: peer(1), block: NewBlock { block: Bytes::from_static(&[0xc0]), ..new } });
    assert_eq!(node.faults.last(), Some(&(peer(1), Fault::BadHeaders)));
}

#[test]
fn a_block_from_the_future_waits() {
    let Some(mut node) = Node::new() else { return };
    let (_, block) = node.block(6);
    node.moment.unix_secs = node.source.block(6).block.header.timestamp - 2;
    node.event(AnnounceEvent::Block { peer: peer(0), block });
    assert_eq!((node.head(), node.full.len()), (HEAD, 0));
    assert!(node.announcer.next_deadline().is_some());
    node.pass(Duration::from_secs(2));
    assert_eq!(node.head(), 6);
}

#[test]
fn a_head_of_our_own_is_told_to_all() {
    let Some(mut node) = Node::new() else { return };
    let (hash, block) = node.block(6);
    node.chain.import(node.source.block(6)).expect("imported");
    let at = BlockRef::new(6, hash);
    node.event(AnnounceEvent::Head { block: at, rlp: block.block, total_difficulty: block.total_difficulty });
    assert_eq!((node.full.len(), node.hashes.len()), (4, usize::from(PEERS) - 4));
}
