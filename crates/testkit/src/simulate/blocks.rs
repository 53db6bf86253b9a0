//! A node's chain and what it does with new blocks: the real chain and the real announcer, on the sample chain from
//! before the merge. Its proof of work is none, so that is not looked at.

use super::talk::Message;
use crate::{Outcome, fixtures};
use starling_chain::{ChainConfig, ChainCore, ImportOutcome};
use starling_chainspec::ChainSpec;
use starling_devp2p::eth::{HashOrNumber, Request, Response};
use starling_peers::Offence;
use starling_primitives::{B256, BlockRef, Bytes, PeerId, U256};
use starling_state::BlockId;
use starling_storage::{Database, GenesisRecord, StorageConfig};
use starling_sync::{
    Fault, ImportResult,
    announce::{AnnounceAction, AnnounceEvent, Announcer, Moment},
};
use starling_validation::PreparedBlock;
use std::{sync::Arc, time::Instant};

/// The chain that is passed on.
const CHAIN: &str = "rpc-compat";
/// Long after every block of it, in seconds since 1970: none comes early.
const UNIX_SECS: u64 = 1 << 40;

/// Blocks to be told, and the genesis below them.
pub(super) struct Source {
    spec: Arc<ChainSpec>,
    /// Those from before the merge, from block 1 on, with the total difficulty.
    pub(super) blocks: Vec<(Arc<PreparedBlock>, U256)>,
}

impl Source {
    /// The sample chain; it is part of the repository.
    pub(super) fn load() -> Outcome<Self> {
        let missing = || format!("no chain {CHAIN}");
        let genesis = fixtures::read(&format!("{CHAIN}/genesis.json")).ok_or_else(missing)?;
        let stream = fixtures::read_bytes(&format!("{CHAIN}/chain.rlp")).ok_or_else(missing)?;
        let spec = Arc::new(ChainSpec::from_genesis_json("sample", &genesis).map_err(|error| error.to_string())?);
        let mut chain = open(&spec)?;
        let mut blocks = Vec::new();
        for rlp in fixtures::blocks(&stream) {
            let block = Arc::new(PreparedBlock::from_rlp(&spec, rlp).map_err(|error| error.to_string())?);
            if spec.is_proof_of_stake(&block.block.header) {
                break;
            }
            chain.import(block.clone()).map_err(|error| error.to_string())?;
            let total = chain.view().total_difficulty(block.at()).map_err(|error| error.to_string())?;
            blocks.push((block, total.unwrap_or_default()));
        }
        Ok(Self { spec, blocks })
    }

    /// A chain with nothing but the genesis.
    pub(super) fn follower(&self) -> Outcome<ChainCore> {
        open(&self.spec)
    }
}

fn open(spec: &Arc<ChainSpec>) -> Outcome<ChainCore> {
    let block = starling_state::genesis_record(spec).map_err(|error| error.to_string())?;
    let record = GenesisRecord { block, config: Bytes::from_static(b"{}") };
    let db = Database::create(StorageConfig::memory(), record).map_err(|error| error.to_string())?;
    ChainCore::open(spec.clone(), db, ChainConfig::default()).map_err(|error| error.to_string())
}

/// What a node wants done about blocks.
pub(super) enum News {
    Say { peer: PeerId, message: Message },
    Has { hash: B256 },
    Penalise { peer: PeerId, offence: Offence },
}

/// A node's chain and announcer.
pub(super) struct Blocks {
    chain: ChainCore,
    announcer: Announcer,
    news: Vec<News>,
}

impl Blocks {
    pub(super) fn new(chain: ChainCore, seed: u64) -> Self {
        Self { chain, announcer: Announcer::new(seed), news: Vec::new() }
    }

    pub(super) fn joined(&mut self, peer: PeerId, now: Instant) {
        self.event(AnnounceEvent::Joined { peer }, now);
    }

    pub(super) fn left(&mut self, peer: PeerId, now: Instant) {
        self.event(AnnounceEvent::Left { peer }, now);
    }

    /// The node has made a block.
    pub(super) fn sealed(&mut self, block: Arc<PreparedBlock>, total_difficulty: U256, now: Instant) -> Outcome {
        let (at, rlp) = (block.at(), block.rlp.clone());
        match self.chain.import(block).map_err(|error| error.to_string())? {
            ImportOutcome::Valid => {}
            other => return Err(format!("the block that is to be told is {other:?} where it is told first")),
        }
        self.news.push(News::Has { hash: at.hash });
        self.event(AnnounceEvent::Head { block: at, rlp, total_difficulty }, now);
        Ok(())
    }

    /// A message about blocks; an answer to it.
    pub(super) fn message(&mut self, peer: PeerId, message: Message, now: Instant) -> Option<Message> {
        match message {
            Message::NewBlock(block) => self.event(AnnounceEvent::Block { peer, block }, now),
            Message::NewBlockHashes(blocks) => self.event(AnnounceEvent::Hashes { peer, blocks }, now),
            Message::Answer { id, response } => self.event(AnnounceEvent::Answer { peer, id, response }, now),
            Message::Ask { id, request } => {
                let response = self.serve(request)?;
                return Some(Message::Answer { id, response });
            }
            _ => {}
        }
        None
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.announcer.next_deadline()
    }

    pub(super) fn handle_deadline(&mut self, now: Instant) {
        if self.announcer.next_deadline().is_some_and(|at| at <= now) {
            self.event(AnnounceEvent::Tick, now);
        }
    }

    /// Everything that is to be done now.
    pub(super) fn poll(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    fn serve(&self, request: Request) -> Option<Response> {
        let view = self.chain.view();
        let response = match request {
            Request::BlockHeaders(wanted) => {
                let HashOrNumber::Hash(hash) = wanted.start else { return None };
                let at = view.find(BlockId::Hash(hash)).ok()?;
                Response::BlockHeaders(at.and_then(|at| view.header_rlp(at).ok()?).into_iter().collect())
            }
            Request::BlockBodies(hashes) => {
                let at = view.find(BlockId::Hash(*hashes.first()?)).ok()?;
                Response::BlockBodies(at.and_then(|at| body_of(&view.block_rlp(at).ok()??)).into_iter().collect())
            }
            _ => return None,
        };
        Some(response)
    }

    /// Something happens, and all that follows of it in this node, at once.
    fn event(&mut self, event: AnnounceEvent, now: Instant) {
        let moment = Moment { now, unix_secs: UNIX_SECS };
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let view = self.chain.view();
            self.announcer.handle(event, &view, moment);
            while let Some(action) = self.announcer.poll() {
                match action {
                    AnnounceAction::Check(job) => events.push(AnnounceEvent::Checked(job.run(&view, false))),
                    AnnounceAction::Import(block) => events.push(self.import(block)),
                    action => self.tell(action),
                }
            }
        }
    }

    fn import(&mut self, block: Arc<PreparedBlock>) -> AnnounceEvent {
        let at: BlockRef = block.at();
        let result = match self.chain.import(block) {
            Ok(ImportOutcome::Valid | ImportOutcome::Known) => {
                self.news.push(News::Has { hash: at.hash });
                ImportResult::Kept
            }
            Ok(other) => ImportResult::Invalid { why: format!("{other:?}") },
            Err(error) => ImportResult::Failed { why: error.to_string() },
        };
        AnnounceEvent::Imported { block: at, result }
    }

    fn tell(&mut self, action: AnnounceAction) {
        let (peer, message) = match action {
            AnnounceAction::Request { peer, id, request } => (peer, Message::Ask { id, request }),
            AnnounceAction::SendBlock { peer, block } => (peer, Message::NewBlock(block)),
            AnnounceAction::SendHashes { peer, blocks } => (peer, Message::NewBlockHashes(blocks)),
            AnnounceAction::Penalise { peer, fault } => {
                return self.news.push(News::Penalise { peer, offence: offence_of(fault) });
            }
            _ => return,
        };
        self.news.push(News::Say { peer, message });
    }
}

/// As the node's loop does.
fn offence_of(fault: Fault) -> Offence {
    match fault {
        Fault::Timeout => Offence::Timeout,
        Fault::Useless => Offence::UselessAnswer,
        _ => Offence::BadData,
    }
}

/// A body as it is sent: the block without its header.
fn body_of(rlp: &Bytes) -> Option<Bytes> {
    let mut rest: &[u8] = rlp;
    let mut items = alloy_rlp::Header::decode_bytes(&mut rest, true).ok()?;
    alloy_rlp::Header::decode_bytes(&mut items, true).ok()?;
    let mut body = Vec::new();
    alloy_rlp::Header { list: true, payload_length: items.len() }.encode(&mut body);
    body.extend_from_slice(items);
    Some(body.into())
}
