//! Blockchain tests: a genesis, blocks in the order in which they are offered, the head and the state after them.
//!
//! Blocks go through the door of every other block: [`PreparedBlock`], then the chain. A block that must be refused
//! is refused for the reason that the case names, and leaves the head where it was.

use super::{
    amsterdam,
    cases::{Cases, Failure, Verdict},
    door::{self, Door, Place},
    json::{self, Accounts, HeaderJson, Hex},
    network::{Config, spec_of},
    reasons::Refusal,
    vectors::stateless,
};
use alloy_consensus::Transaction as _;
use alloy_eips::{eip4844::DATA_GAS_PER_BLOB, eip8282::BUILDER_DEPOSIT_CONTRACT_ADDRESS};
use alloy_primitives::{Address, B256, U256};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use starling_chain::{ImportOutcome, InvalidReason};
use starling_chainspec::ChainSpec;
use starling_primitives::{MemoryState, StateReader};
use starling_validation::{HeaderError, PreparedBlock};
use std::{borrow::Cow, collections::HashSet, fmt, sync::Arc};

/// A case of the file.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case<'a> {
    network: String,
    #[serde(default)]
    config: Config,
    pre: Accounts,
    genesis_block_header: HeaderJson,
    #[serde(rename = "genesisRLP")]
    genesis_rlp: Option<Hex>,
    #[serde(borrow)]
    blocks: Vec<&'a RawValue>,
    lastblockhash: B256,
    post_state: Option<Accounts>,
    post_state_hash: Option<B256>,
    #[serde(default)]
    seal_engine: String,
}

/// How the chain must stand in the end.
pub(super) struct After {
    pub(super) head: B256,
    pub(super) state: Option<Accounts>,
    pub(super) state_root: Option<B256>,
}

/// A block of a case.
struct Entry<'a> {
    /// Hex, or what the case calls so.
    rlp: Cow<'a, str>,
    /// Why it must be refused: names joined with `|`.
    exception: Option<String>,
    /// Whether its parts are given in readable form, which they are for blocks that must be accepted.
    is_readable: bool,
}

impl Entry<'_> {
    /// Whether the block must be accepted.
    fn is_valid(&self) -> bool {
        self.exception.is_none() && self.is_readable
    }
}

/// Runs one case.
pub(super) fn run(name: &str, text: &RawValue, cases: &mut Cases<'_>) {
    if !cases.wants(name) {
        return;
    }
    let network = network_of(text);
    cases.case_on(name, &network, |on_disk| -> Verdict { run_case(text, on_disk).into() });
}

/// The network of a case, for the table: empty if it has none.
pub(super) fn network_of(text: &RawValue) -> String {
    #[derive(Deserialize)]
    struct Named {
        network: String,
    }
    serde_json::from_str::<Named>(text.get()).map(|named| named.network).unwrap_or_default()
}

/// What of a case does not hold.
enum Broken {
    /// It must.
    Failed(Failure),
    /// It need not: the group of reasons.
    Differs(&'static str),
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Result<(), Broken>> for Verdict {
    fn from(result: Result<(), Broken>) -> Self {
        match result {
            Ok(()) => Self::Passed,
            Err(Broken::Failed(failure)) => Self::Failed(failure),
            Err(Broken::Differs(group)) => Self::Differs(group),
        }
    }
}

fn run_case(text: &RawValue, on_disk: bool) -> Result<(), Broken> {
    let case: Case<'_> = serde_json::from_str(text.get()).map_err(|error| unreadable(&error))?;
    let check_seal = case.seal_engine == "Ethash";
    let spec = Arc::new(genesis(&case.network, &case.config, &case.genesis_block_header, case.pre)?);
    let place = if on_disk { Place::Disk } else { Place::Memory };
    let door = door::open(spec.clone(), check_seal, place).map_err(|why| at("genesis", "a chain", why))?;
    check_genesis(&door, &spec, case.genesis_block_header.hash, case.genesis_rlp.as_ref())?;
    let mut chain = OfferedTo { door, spec: spec.clone(), refused: HashSet::new() };
    for (index, text) in case.blocks.iter().enumerate() {
        let place = format!("block {index}");
        let entry: Entry<'_> =
            serde_json::from_str(text.get()).map_err(|error| at(&place, "a block of a case", error))?;
        let offered = chain.offer(&entry);
        // The witness first: a block whose rules have moved since is refused either way, for the same reason.
        check_witness(&spec, text, entry.is_valid() && offered.is_ok())
            .map_err(|failure| Failure { at: format!("{place} {}", failure.at), ..failure })?;
        match offered {
            Err(Broken::Failed(failure)) => return Err(Failure { at: place, ..failure }.into()),
            offered => offered?,
        }
    }
    let after = After { head: case.lastblockhash, state: case.post_state, state_root: case.post_state_hash };
    Ok(check_after(&chain.door, &spec, after)?)
}

/// Runs a block once more from its witness alone, where the case gives one.
fn check_witness(spec: &ChainSpec, text: &RawValue, taken: bool) -> Result<(), Failure> {
    if !text.get().contains("\"executionWitness\"") {
        return Ok(());
    }
    let block = serde_json::from_str(text.get()).map_err(|error| unreadable(&error))?;
    stateless::check_block(spec, &block, taken)
}

/// A chain, and what it has refused.
struct OfferedTo {
    door: Door,
    spec: Arc<ChainSpec>,
    refused: HashSet<B256>,
}

impl OfferedTo {
    /// Offers a block; what becomes of it must be what its entry says.
    fn offer(&mut self, entry: &Entry<'_>) -> Result<(), Broken> {
        let before = self.door.head();
        let exception = entry.exception.as_deref();
        let refusal = self.import(&entry.rlp)?;
        let holds = match (&refusal, exception) {
            (None, _) => entry.is_valid(),
            (Some(_), None) => !entry.is_valid(),
            (Some(refusal), Some(names)) => self.is_for(names, refusal, &entry.rlp)?,
        };
        if !holds {
            let block = self.prepare(&entry.rlp);
            let group = block.and_then(|of| amsterdam::group_of(&self.spec, &of.block, exception, refusal.as_ref()));
            let expected = exception.unwrap_or(if entry.is_valid() { "a valid block" } else { "a refusal" });
            let got = refusal.map_or("the block was accepted".to_owned(), |refusal| refusal.to_string());
            return Err(group.map_or(failed(expected, got).into(), Broken::Differs));
        }
        let head = self.door.head();
        if refusal.is_some() && head != before {
            return Err(failed(format!("head {before}, as before the refused block"), head).into());
        }
        Ok(())
    }

    fn prepare(&self, rlp: &str) -> Option<PreparedBlock> {
        PreparedBlock::from_rlp(&self.spec, json::bytes(rlp)?).ok()
    }

    /// Whether a refusal is for what the case names. Many old cases put a bad transaction into the body of a header
    /// that does not know it. For them the header is made to fit, so that what is wrong with the transaction shows.
    fn is_for(&mut self, names: &str, refusal: &Refusal, rlp: &str) -> Result<bool, Failure> {
        if refusal.is_for(names) {
            return Ok(true);
        }
        if !matches!(refusal, Refusal::Invalid(InvalidReason::Check(HeaderError::TransactionsRoot { .. }))) {
            return Ok(false);
        }
        let Some(PreparedBlock { mut block, transactions_root, .. }) = self.prepare(rlp) else { return Ok(false) };
        let blobs: usize =
            block.body.transactions.iter().filter_map(|tx| tx.blob_versioned_hashes()).map(<[_]>::len).sum();
        block.header.transactions_root = transactions_root;
        block.header.blob_gas_used = block.header.blob_gas_used.map(|_| blobs as u64 * DATA_GAS_PER_BLOB);
        let refusal = self.import(&hex::encode(alloy_rlp::encode(&block)))?;
        Ok(refusal.is_some_and(|refusal| refusal.is_for(names)))
    }

    /// Why a block is refused, if it is.
    fn import(&mut self, rlp: &str) -> Result<Option<Refusal>, Failure> {
        let Some(rlp) = json::bytes(rlp) else { return Ok(Some(Refusal::NoBytes)) };
        let block = match PreparedBlock::from_rlp(&self.spec, rlp) {
            Ok(block) => Arc::new(block),
            Err(error) => return Ok(Some(error.into())),
        };
        let (hash, parent) = (block.hash, block.block.header.parent_hash);
        let outcome = self.door.offer(block).map_err(|why| failed("a verdict", format!("the chain failed: {why}")))?;
        Ok(match outcome {
            ImportOutcome::Valid | ImportOutcome::Known => {
                // a wrong body may have been refused under the same hash
                self.refused.remove(&hash);
                None
            }
            ImportOutcome::UnknownParent => Some(Refusal::UnknownParent),
            ImportOutcome::Accepted => Some(Refusal::StateGone),
            ImportOutcome::Invalid { .. } if self.refused.contains(&parent) => Some(Refusal::Descendant),
            ImportOutcome::Invalid { why, .. } => {
                self.refused.insert(hash);
                Some(Refusal::Invalid(why))
            }
        })
    }
}

/// The chain's rules with its genesis.
pub(super) fn genesis(
    network: &str,
    config: &Config,
    header: &HeaderJson,
    pre: Accounts,
) -> Result<ChainSpec, Failure> {
    let mut spec = spec_of(network, config).map_err(|why| at("genesis", "a known network", why))?;
    let state = pre.into_state();
    spec.builder_requests = state.accounts.contains_key(&BUILDER_DEPOSIT_CONTRACT_ADDRESS);
    spec.genesis_header = header.to_header();
    spec.genesis_state = state.into();
    Ok(spec)
}

pub(super) fn check_genesis(door: &Door, spec: &ChainSpec, hash: B256, rlp: Option<&Hex>) -> Result<(), Failure> {
    let head = door.head();
    if head.hash != hash || spec.genesis_hash() != hash {
        return Err(at("genesis", format!("hash {hash}"), format!("hash {}", head.hash)));
    }
    let Some(Hex(rlp)) = rlp else { return Ok(()) };
    match door.view().block_rlp(head) {
        Ok(Some(kept)) if kept == *rlp => Ok(()),
        other => Err(at("genesis", rlp, format!("{other:?}"))),
    }
}

/// Compares head and state with what the case says of the end.
pub(super) fn check_after(door: &Door, spec: &ChainSpec, after: After) -> Result<(), Failure> {
    let (view, head) = (door.view(), door.head());
    if head.hash != after.head || view.head() != head {
        return Err(at("end", format!("head {}", after.head), format!("head {head}")));
    }
    let root = view.head_header().state_root;
    if let Some(expected) = after.state_root
        && root != expected
    {
        return Err(at("end", format!("state root {expected}"), format!("state root {root}")));
    }
    let Some(post) = after.state else { return Ok(()) };
    check_state(&view.head_state(), &post.into_state(), &spec.genesis_state)
        .map_err(|failure| Failure { at: "end".into(), ..failure })
}

/// Reads every account and slot that the case names, and those of before that must be gone.
pub(super) fn check_state(state: &dyn StateReader, post: &MemoryState, pre: &MemoryState) -> Result<(), Failure> {
    let unreadable = |error: starling_primitives::ReadError| failed("readable state", error);
    for (address, (expected, slots)) in &post.accounts {
        let Some(got) = state.account(address).map_err(unreadable)? else {
            return Err(failed(format!("account {address}"), "no such account"));
        };
        let parts = |account: &starling_primitives::Account| (account.nonce, account.balance, account.code_hash);
        if parts(&got) != parts(expected) {
            return Err(failed(format!("{address}: {:?}", parts(expected)), format!("{:?}", parts(&got))));
        }
        let old = pre.accounts.get(address).map(|(_, slots)| slots.keys()).into_iter().flatten();
        for slot in slots.keys().chain(old) {
            check_slot(state, address, slot, slots.get(slot).copied().unwrap_or_default())?;
        }
    }
    for address in pre.accounts.keys().filter(|address| !post.accounts.contains_key(*address)) {
        if let Some(account) = state.account(address).map_err(unreadable)? {
            return Err(failed(format!("no account {address}"), format!("{account:?}")));
        }
    }
    Ok(())
}

fn check_slot(state: &dyn StateReader, address: &Address, slot: &U256, expected: U256) -> Result<(), Failure> {
    let got = state.slot(address, slot).map_err(|error| failed("readable state", error))?;
    if got == expected {
        return Ok(());
    }
    Err(failed(format!("{address} slot {slot:#x}: {expected:#x}"), format!("{got:#x}")))
}

fn failed(expected: impl fmt::Display, got: impl fmt::Display) -> Failure {
    at("", expected, got)
}

pub(super) fn at(place: &str, expected: impl fmt::Display, got: impl fmt::Display) -> Failure {
    Failure { at: place.into(), expected: expected.to_string(), got: got.to_string() }
}

pub(super) fn unreadable(error: &serde_json::Error) -> Failure {
    failed("a case of this format", error)
}

impl<'de: 'a, 'a> Deserialize<'de> for Entry<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntryVisitor)
    }
}

/// The exception stands under `expectException`, and in old files under that word with a fork or `ALL` behind it; of
/// those an entry has one, since each case is of one fork.
struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = Entry<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a block of a case")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry<'de>, A::Error> {
        let mut entry = Entry { rlp: Cow::Borrowed(""), exception: None, is_readable: false };
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if key == "rlp" {
                entry.rlp = map.next_value::<Borrowed<'de>>()?.0;
            } else if key.starts_with("expectException") {
                entry.exception = Some(map.next_value()?);
            } else {
                entry.is_readable |= key == "blockHeader";
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(entry)
    }
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);
