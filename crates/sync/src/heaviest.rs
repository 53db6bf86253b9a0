//! Before the merge: following the peer that claims the heaviest chain.
//!
//! ```text
//! its head's number ─► search for the common ancestor ─► headers upwards, each checked ─► done
//! ```
//!
//! Nobody vouches for that head. So headers come upwards, and every one is checked against its parent, its
//! difficulty included, before a body is asked for; the proof of work is checked on workers before the block is
//! imported. The sum of the difficulties that were checked must reach what the peer claims.

use crate::{border::Fault, header::SealedHeader, skeleton::HEADERS_PER_REQUEST};
use starling_chainspec::ChainSpec;
use starling_devp2p::eth::{GetBlockHeaders, HashOrNumber};
use starling_primitives::{B256, Bytes, Header, PeerId, ReadError, U256};
use starling_state::{BlockId, ChainView};
use starling_validation::{CheckOptions, CliqueSnapshot, check_header_on};
use std::sync::Arc;

/// How often the search may start again, because the peer's chain changed under it.
const SEARCHES_MAX: u8 = 3;

/// A peer's heavier chain, and how far its headers are checked.
#[derive(Debug)]
pub(crate) struct Heaviest {
    pub(crate) peer: PeerId,
    head: B256,
    claim: U256,
    pub(crate) head_number: Option<u64>,
    step: Step,
    searches: u8,
    pub(crate) is_asking: bool,
}

#[derive(Debug)]
enum Step {
    /// Its head's number is asked for.
    Head,
    /// Block `common` is on both chains, block `differs` is not (or above a head); `probe` is asked for.
    Search { common: u64, differs: u64, probe: u64 },
    /// Headers up to `last` are checked; `clique` says who may sign the next one, where signers make the chain.
    Headers { last: B256, header: Box<Header>, total: U256, clique: Option<Arc<CliqueSnapshot>> },
    /// All are; up to the very head that the peer named, or to where its chain leads elsewhere by now.
    Done { total: U256, is_their_head: bool },
}

/// What an answer led to.
#[derive(Debug)]
pub(crate) enum Progressed {
    /// Ask on.
    On,
    /// Checked headers, ascending.
    Headers(Vec<SealedHeader>),
    /// The peer broke a rule.
    Fault(Fault),
    /// It cannot be followed, and it is not clear that it lied.
    Unfollowable,
}

impl Heaviest {
    pub(crate) fn new(peer: PeerId, head: B256, claim: U256) -> Self {
        Self { peer, head, claim, head_number: None, step: Step::Head, searches: 0, is_asking: false }
    }

    /// Whether all headers are checked.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.step, Step::Done { .. })
    }

    /// Whether the head that the peer named is lighter than it claimed.
    pub(crate) fn is_false_claim(&self) -> bool {
        matches!(self.step, Step::Done { total, is_their_head: true } if total < self.claim)
    }

    /// What to ask the peer next.
    pub(crate) fn request(&self) -> Option<GetBlockHeaders> {
        let one = |start| GetBlockHeaders { start, limit: 1, skip: 0, reverse: false };
        match &self.step {
            Step::Head => Some(one(HashOrNumber::Hash(self.head))),
            Step::Search { probe, .. } => Some(one(HashOrNumber::Number(*probe))),
            Step::Headers { header, .. } => Some(GetBlockHeaders {
                start: HashOrNumber::Number(header.number.checked_add(1)?),
                limit: HEADERS_PER_REQUEST,
                skip: 0,
                reverse: false,
            }),
            Step::Done { .. } => None,
        }
    }

    /// The answer to it.
    ///
    /// # Errors
    /// When the database cannot be read; nothing has changed then.
    pub(crate) fn answered(
        &mut self,
        spec: &ChainSpec,
        view: &ChainView,
        items: Vec<Bytes>,
    ) -> Result<Progressed, ReadError> {
        let Some(headers) = decode(items) else { return Ok(Progressed::Fault(Fault::BadHeaders)) };
        match self.step {
            Step::Head => self.head_came(view, &headers),
            Step::Search { common, differs, probe } => self.probe_came(view, &headers, common, differs, probe),
            Step::Headers { .. } => self.headers_came(spec, view, headers),
            Step::Done { .. } => Ok(Progressed::On),
        }
    }

    fn head_came(&mut self, view: &ChainView, headers: &[(SealedHeader, Header)]) -> Result<Progressed, ReadError> {
        // It may have left that head since; an honest one then soon announces another.
        let Some((head, _)) = headers.first() else { return Ok(Progressed::Unfollowable) };
        if head.at.hash != self.head {
            return Ok(Progressed::Fault(Fault::BadHeaders));
        }
        let progressed = self.search(view, head.at.number)?;
        self.head_number = Some(head.at.number);
        Ok(progressed)
    }

    /// Begins the search at the lower of the two heads: mostly we are merely behind.
    fn search(&mut self, view: &ChainView, their_head: u64) -> Result<Progressed, ReadError> {
        let lower = view.head().number.min(their_head);
        self.narrow(view, 0, lower.saturating_add(1), lower)
    }

    fn probe_came(
        &mut self,
        view: &ChainView,
        headers: &[(SealedHeader, Header)],
        common: u64,
        differs: u64,
        probe: u64,
    ) -> Result<Progressed, ReadError> {
        let Some((header, _)) = headers.first() else { return Ok(Progressed::Unfollowable) };
        if header.at.number != probe {
            return Ok(Progressed::Fault(Fault::BadHeaders));
        }
        let is_common = view.find(BlockId::Number(probe))? == Some(header.at);
        let (common, differs) = if is_common { (probe, differs) } else { (common, probe) };
        self.narrow(view, common, differs, common + differs.saturating_sub(common) / 2)
    }

    /// Asks on between the two, or begins with the headers if nothing lies between.
    fn narrow(&mut self, view: &ChainView, common: u64, differs: u64, probe: u64) -> Result<Progressed, ReadError> {
        if common + 1 < differs {
            self.step = Step::Search { common, differs, probe };
            return Ok(Progressed::On);
        }
        let Some(at) = view.find(BlockId::Number(common))? else { return Ok(Progressed::Unfollowable) };
        let header = view.header(BlockId::Hash(at.hash))?;
        let (Some(header), Some(total)) = (header, view.total_difficulty(at)?) else {
            return Ok(Progressed::Unfollowable);
        };
        if at.number < view.frontier().number {
            return Ok(Progressed::Unfollowable);
        }
        let clique = view.clique_snapshot(at)?;
        // What they have up to their head may have come by another way meanwhile: then nothing lies above to be asked
        // for. If it is another head, they have left the one that they named.
        let is_their_head = at.hash == self.head;
        self.step = if is_their_head || self.head_number.is_some_and(|number| common >= number) {
            Step::Done { total, is_their_head }
        } else {
            Step::Headers { last: at.hash, header: Box::new(header), total, clique }
        };
        Ok(Progressed::On)
    }

    fn headers_came(
        &mut self,
        spec: &ChainSpec,
        view: &ChainView,
        headers: Vec<(SealedHeader, Header)>,
    ) -> Result<Progressed, ReadError> {
        let Step::Headers { last, header, total, clique } = &mut self.step else { return Ok(Progressed::On) };
        let Some((first, _)) = headers.first() else {
            // A heavier chain may be a shorter one: it moved there, and ends here.
            if *total >= self.claim {
                self.step = Step::Done { total: *total, is_their_head: false };
                return Ok(Progressed::On);
            }
            return self.search_again(view, Fault::FalseHead);
        };
        if first.at.number != header.number + 1 {
            return Ok(Progressed::Fault(Fault::BadHeaders));
        }
        if first.parent_hash != *last {
            return self.search_again(view, Fault::BadHeaders);
        }
        // Proof of work is dear to check: that is done on workers, before a block is imported.
        let no_seal = CheckOptions { seal: false };
        let mut checked = Vec::with_capacity(headers.len());
        for (sealed, next) in headers {
            if spec.is_proof_of_stake(&next) {
                // From here on a consensus client leads.
                let total = *total;
                self.step = Step::Done { total, is_their_head: false };
                break;
            }
            if sealed.parent_hash != *last {
                return Ok(Progressed::Fault(Fault::BadHeaders));
            }
            if check_header_on(spec, &next, (*last, header), Some(*total), clique.as_deref(), no_seal).is_err() {
                return Ok(Progressed::Fault(Fault::InvalidHeader));
            }
            if let Some(snapshot) = clique.take() {
                let Some(signer) = spec.consensus.author(&next) else {
                    return Ok(Progressed::Fault(Fault::InvalidHeader));
                };
                *clique = Some(Arc::new(snapshot.apply(spec, sealed.at, &next, signer)));
            }
            *total = total.saturating_add(next.difficulty);
            *last = sealed.at.hash;
            **header = next;
            checked.push(sealed);
            if *last == self.head {
                let total = *total;
                self.step = Step::Done { total, is_their_head: true };
                break;
            }
        }
        if let Step::Headers { header, total, .. } = &self.step
            && self.head_number.is_some_and(|number| header.number >= number)
        {
            // Past the height of the head that it named, which is not among these: it moved on meanwhile.
            let total = *total;
            self.step = Step::Done { total, is_their_head: false };
        }
        Ok(Progressed::Headers(checked))
    }

    /// The peer's chain is not the one that was searched: it may have changed, but not forever.
    fn search_again(&mut self, view: &ChainView, fault: Fault) -> Result<Progressed, ReadError> {
        if self.searches >= SEARCHES_MAX {
            return Ok(Progressed::Fault(fault));
        }
        let progressed = self.search(view, self.head_number.unwrap_or(0))?;
        self.searches += 1;
        Ok(progressed)
    }
}

fn decode(items: Vec<Bytes>) -> Option<Vec<(SealedHeader, Header)>> {
    items.into_iter().map(|rlp| SealedHeader::decode(rlp).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use starling_chain::{ChainConfig, ChainCore};
    use starling_chainspec::clique_seal_hash;
    use starling_primitives::{Address, NodeKey};
    use starling_storage::{Database, GenesisRecord, StorageConfig};

    /// A chain of two signers at its genesis, and their keys in the order of their turns.
    fn two_signers() -> (ChainCore, [NodeKey; 2]) {
        let address = |key: &NodeKey| Address::from_raw_public_key(key.public().as_slice());
        let mut keys = [1, 2].map(|byte| NodeKey::from_bytes(&B256::repeat_byte(byte)).unwrap());
        keys.sort_by_key(address);
        let signers: String = keys.iter().map(|key| format!("{:x}", address(key))).collect();
        let genesis = include_str!("../../../genesis/testnet-geth.json");
        let (before, rest) = genesis.split_once("\"extraData\": \"").unwrap();
        let (_, after) = rest.split_once('"').unwrap();
        let extra = format!("0x{}{signers}{}", "00".repeat(32), "00".repeat(65));
        let genesis = format!("{before}\"extraData\": \"{extra}\"{after}");
        let spec = Arc::new(ChainSpec::from_genesis_json("two signers", &genesis).unwrap());
        let block = starling_state::genesis_record(&spec).unwrap();
        let record = GenesisRecord { block, config: Bytes::from_static(b"{}") };
        let database = Database::create(StorageConfig::memory(), record).unwrap();
        (ChainCore::open(spec, database, ChainConfig::default()).unwrap(), keys)
    }

    /// So many empty blocks on the genesis, all in turn or all out of turn.
    fn branch(chain: &ChainCore, keys: &[NodeKey; 2], count: u64, in_turn: bool) -> Vec<Header> {
        let mut parent = chain.view().head_header().clone();
        let blocks = (1..=count).map(|number| {
            let mut header = Header {
                parent_hash: parent.hash_slow(),
                number,
                timestamp: parent.timestamp + 100,
                difficulty: U256::from(if in_turn { 2 } else { 1 }),
                extra_data: vec![0; 32 + 65].into(),
                base_fee_per_gas: Some(starling_validation::next_base_fee(&parent)),
                ..parent.clone()
            };
            let key = &keys[(number + u64::from(!in_turn)) as usize % 2];
            let seal = key.sign_recoverable(&clique_seal_hash(&header).unwrap());
            header.extra_data = [vec![0; 32], seal.to_vec()].concat().into();
            parent = header.clone();
            header
        });
        blocks.collect()
    }

    /// Answers the requests one after the other from what the peer has at that time; how it ends.
    fn follow(chain: &ChainCore, named: &Header, claim: u64, has: &[&[Header]]) -> (Heaviest, Option<Fault>) {
        let (view, spec) = (chain.view(), chain.spec().clone());
        let genesis = view.total_difficulty(view.head()).unwrap().unwrap();
        let mut heaviest = Heaviest::new(PeerId::ZERO, named.hash_slow(), genesis + U256::from(claim));
        let rlp = |header: &Header| Bytes::from(alloy_rlp::encode(header));
        for step in 0.. {
            let Some(request) = heaviest.request() else { return (heaviest, None) };
            let canonical = has[step.min(has.len() - 1)];
            let items = match request.start {
                HashOrNumber::Hash(_) => vec![rlp(named)],
                HashOrNumber::Number(0) => vec![rlp(view.head_header())],
                HashOrNumber::Number(from) => {
                    canonical.iter().skip(from as usize - 1).take(request.limit as usize).map(rlp).collect()
                }
            };
            match heaviest.answered(&spec, &view, items).unwrap() {
                Progressed::Fault(fault) => return (heaviest, Some(fault)),
                Progressed::Unfollowable => return (heaviest, None),
                Progressed::On | Progressed::Headers(_) => {}
            }
        }
        unreachable!("it ends by a fault or with nothing to ask");
    }

    #[test]
    fn a_peer_that_moves_to_a_shorter_and_heavier_chain_does_not_lie() {
        let (chain, keys) = two_signers();
        let (long, short) = (branch(&chain, &keys, 3, false), branch(&chain, &keys, 2, true));
        let head = &long[2];
        let check = |has: &[&[Header]], claim, expected| {
            let (heaviest, fault) = follow(&chain, head, claim, has);
            assert_eq!((fault, heaviest.is_done(), heaviest.is_false_claim()), expected);
        };
        check(&[&long], 3, (None, true, false));
        // it moved between naming its head and being asked for headers
        check(&[&long, &short], 3, (None, true, false));
        // between two answers: the first has a part of the old chain
        check(&[&long, &long[..2], &short], 3, (None, true, false));
        // who has no headers, or not as heavy ones, claims what it does not have
        check(&[&[]], 3, (Some(Fault::FalseHead), false, false));
        check(&[&long, &short], 5, (Some(Fault::FalseHead), false, false));
        check(&[&long], 4, (None, true, true));
    }
}
