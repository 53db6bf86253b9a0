//! A Mainnet block as a node answered for it: the block, its receipts, and what the tracers saw before and after
//! each transaction. The call trace waits for tracers.
//!
//! The states before the transactions, laid one under the other, are the part of the state that the block touches:
//! the block is run on it. The states after them, laid one over the other, are what it must have changed.

use super::{
    TRACES,
    bodies::bloom_of,
    fields::{self, same},
    prestate::check_run,
    rpc_block,
};
use crate::conformance::{
    archive::Member,
    cases::{Cases, Failure, Verdict},
    json::{Hex, Number, Word},
};
use alloy_consensus::TxType;
use alloy_primitives::{Address, B256, Bytes, Log, U256, keccak256};
use serde::Deserialize;
use serde_json::Value;
use starling_chainspec::ChainSpec;
use starling_execution::Computed;
use starling_primitives::{Account, EMPTY_CODE_HASH, MemoryState, Receipt, ReceiptOutcome, StateDiff, receipts_root};
use std::collections::BTreeMap;

/// What a tracer saw of an account; what is absent did not change, or is nothing.
#[derive(Debug, Clone, Default, Deserialize)]
struct Seen {
    balance: Option<Word>,
    nonce: Option<Number>,
    code: Option<Hex>,
    #[serde(default)]
    storage: BTreeMap<Word, Word>,
}

type SeenAccounts = BTreeMap<Address, Seen>;

pub(super) fn run(members: &[Member], cases: &mut Cases<'_>) {
    let mut folders: BTreeMap<&str, Vec<&Member>> = BTreeMap::new();
    for member in members {
        let (folder, _) = member.path.rsplit_once('/').unwrap_or_default();
        folders.entry(folder).or_default().push(member);
    }
    for (folder, members) in folders {
        let file = |member: &&Member| {
            let name = member.path.rsplit('/').next().unwrap_or_default().to_owned();
            let answer: Value = serde_json::from_slice(&member.bytes).unwrap_or_default();
            (name, answer["result"].clone())
        };
        let files: BTreeMap<String, Value> = members.iter().map(file).collect();
        for name in files.keys() {
            let case = format!("{folder}/{name}");
            cases.case(&case, "Cancun", || check(name, &files));
        }
    }
}

fn check(name: &str, files: &BTreeMap<String, Value>) -> Verdict {
    if name == "calltrace.json" {
        return Verdict::Later(TRACES);
    }
    check_file(name, files).into()
}

fn check_file(name: &str, files: &BTreeMap<String, Value>) -> Result<(), Failure> {
    let spec = ChainSpec::named("mainnet").ok_or("no Mainnet".to_string())?;
    let answer = |name: &str| files.get(name).ok_or_else(|| format!("{name} is not there"));
    let block = answer("block.json")?;
    match name {
        "block.json" => rpc_block::read(&spec, block).map(drop),
        "receipts.json" => check_receipts(&spec, block, answer(name)?),
        "prestatetrace.json" => run_block(&spec, block, answer(name)?).map(drop),
        "difftrace.json" => {
            let computed = run_block(&spec, block, answer("prestatetrace.json")?)?;
            check_diff(&computed.diff, answer(name)?)
        }
        other => Err(format!("what is {other}?").into()),
    }
}

fn check_receipts(spec: &ChainSpec, block: &Value, receipts: &Value) -> Result<(), Failure> {
    let header = rpc_block::read(spec, block)?.header;
    let receipts: Vec<Receipt> =
        receipts.as_array().into_iter().flatten().map(receipt).collect::<Result<_, String>>()?;
    same("receipts root", receipts_root(&receipts), header.receipts_root)?;
    same("logs bloom", bloom_of(&receipts), header.logs_bloom)?;
    same("gas used", receipts.last().map_or(0, |receipt| receipt.cumulative_gas_used), header.gas_used)
}

fn receipt(value: &Value) -> Result<Receipt, String> {
    #[derive(Deserialize)]
    struct LogJson {
        address: Address,
        topics: Vec<B256>,
        data: Bytes,
    }
    let kind = u8::try_from(fields::number(value, "type")?).map_err(|error| error.to_string())?;
    let logs: Vec<LogJson> = fields::read(&value["logs"])?;
    Ok(Receipt {
        tx_type: TxType::try_from(kind).map_err(|error| error.to_string())?,
        outcome: ReceiptOutcome::Status(fields::number(value, "status")? == 1),
        cumulative_gas_used: fields::number(value, "cumulativeGasUsed")?,
        logs: logs.into_iter().map(|log| Log::new_unchecked(log.address, log.topics, log.data)).collect(),
    })
}

/// Runs the block on what the prestate tracer saw.
fn run_block(spec: &ChainSpec, block: &Value, traces: &Value) -> Result<Computed, Failure> {
    let block = rpc_block::read(spec, block)?;
    check_run(spec, &block, &state_before(traces)?)
}

/// What stood before the first transaction that touched it.
fn state_before(traces: &Value) -> Result<MemoryState, String> {
    let mut accounts = SeenAccounts::new();
    for trace in traces.as_array().into_iter().flatten() {
        for (address, seen) in fields::read::<SeenAccounts>(&trace["result"])? {
            let account = accounts.entry(address).or_insert_with(|| Seen { storage: BTreeMap::new(), ..seen.clone() });
            for (slot, value) in seen.storage {
                account.storage.entry(slot).or_insert(value);
            }
        }
    }
    let mut state = MemoryState::default();
    for (address, seen) in accounts {
        let code = seen.code.unwrap_or_default().0;
        let (nonce, balance) = (seen.nonce.unwrap_or_default().0, seen.balance.unwrap_or_default().0);
        let storage = seen.storage.into_iter().map(|(slot, value)| (slot.0, value.0)).collect();
        if nonce > 0 || !balance.is_zero() || !code.is_empty() {
            state.insert(address, nonce, balance, code, storage);
        }
    }
    Ok(state)
}

/// Compares what the tracer saw after the transactions with what the block changed. Balances are left out: they
/// move after the transactions too, by withdrawals.
fn check_diff(diff: &StateDiff, traces: &Value) -> Result<(), Failure> {
    let mut after: BTreeMap<Address, Seen> = BTreeMap::new();
    for trace in traces.as_array().into_iter().flatten() {
        let (before, now): (SeenAccounts, SeenAccounts) =
            (fields::read(&trace["result"]["pre"])?, fields::read(&trace["result"]["post"])?);
        for (address, seen) in now {
            let account = after.entry(address).or_default();
            // A slot that stood before and is not named after is empty.
            for slot in before.get(&address).into_iter().flat_map(|seen| seen.storage.keys()) {
                account.storage.insert(*slot, Word::default());
            }
            account.storage.extend(seen.storage);
            account.balance = seen.balance.or(account.balance);
            account.nonce = seen.nonce.or(account.nonce);
            account.code = seen.code.or(account.code.take());
        }
    }
    let changed: BTreeMap<Address, _> = diff.accounts.iter().map(|account| (account.address, account)).collect();
    for (address, seen) in &after {
        // What several transactions change back and forth may be as it was.
        let Some(change) = changed.get(address) else { continue };
        let account = change.after.unwrap_or(Account { code_hash: EMPTY_CODE_HASH, ..Account::default() });
        let at = |what: &str| format!("{what} of {address}");
        if let Some(nonce) = seen.nonce {
            same(&at("nonce"), account.nonce, nonce.0)?;
        }
        if let Some(code) = &seen.code {
            same(&at("code hash"), account.code_hash, keccak256(&code.0))?;
        }
        let slots: BTreeMap<B256, U256> = change.slots.iter().map(|slot| (slot.key, slot.after)).collect();
        for (slot, value) in &seen.storage {
            if let Some(after) = slots.get(&keccak256(slot.0.to_be_bytes::<32>())) {
                same(&at(&format!("slot {:#x}", slot.0)), *after, value.0)?;
            }
        }
    }
    let unseen =
        diff.accounts.iter().filter(|account| !account.slots.is_empty() && !after.contains_key(&account.address));
    match unseen.map(|account| account.address).next() {
        Some(address) => Err(format!("storage of {address} changed, which no trace says").into()),
        None => Ok(()),
    }
}
