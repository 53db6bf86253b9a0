//! Real blocks run on the part of the state that they touch. The state root cannot be known from it; all else is.

use super::{
    fields::{self, same, same_debug, text},
    rpc_block::{self, Parts},
};
use crate::conformance::{
    archive::Member,
    cases::{Cases, Failure},
    json::{self, Hex, Number, Word},
};
use alloy_primitives::{Address, B256};
use serde::Deserialize;
use serde_json::Value;
use starling_chainspec::{ChainSpec, Fork};
use starling_execution::{Computed, execute_unchecked};
use starling_primitives::{Account, EMPTY_CODE_HASH, MemoryState};
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PreAccount {
    balance: Word,
    nonce: Number,
    code_hash: Option<B256>,
    #[serde(default)]
    storage: BTreeMap<Word, Word>,
}

pub(super) fn run(member: &Member, cases: &mut Cases<'_>) -> Result<(), String> {
    let case: Value = fields::file(member)?;
    let fork = text(&case, "fork")?;
    cases.case("", fork, || check(&case));
    Ok(())
}

fn check(case: &Value) -> Result<(), Failure> {
    let spec = ChainSpec::named(text(case, "network")?).ok_or("an unknown network".to_string())?;
    let block = rpc_block::read(&spec, &case["block"])?;
    check_run(&spec, &block, &state_of(case)?).map(drop)
}

/// Runs a block and compares what follows from running it.
pub(super) fn check_run(spec: &ChainSpec, block: &Parts, state: &MemoryState) -> Result<Computed, Failure> {
    let Parts { header, body, senders } = block;
    // Roots after each transaction would need the whole state.
    let mut no_root = |_: &mut _| Ok(B256::ZERO);
    let computed =
        execute_unchecked(spec, header, body, senders, state, &mut no_root).map_err(|error| error.to_string())?;
    same("gas used", computed.gas_used, header.gas_used)?;
    same("logs bloom", computed.logs_bloom, header.logs_bloom)?;
    if spec.fork_of(header) >= Fork::Byzantium {
        same("receipts root", computed.receipts_root, header.receipts_root)?;
    }
    same_debug("blob gas used", computed.blob_gas_used, header.blob_gas_used)?;
    Ok(computed)
}

fn state_of(case: &Value) -> Result<MemoryState, String> {
    let accounts: BTreeMap<Address, PreAccount> = fields::read(&case["preState"])?;
    let codes: BTreeMap<B256, Hex> = fields::read(&case["codes"])?;
    let hashes: BTreeMap<String, B256> = fields::read(&case["blockHashes"])?;
    let mut state = MemoryState::default();
    for (address, PreAccount { balance, nonce, code_hash, storage }) in accounts {
        let code_hash = code_hash.unwrap_or(EMPTY_CODE_HASH);
        let account = Account { nonce: nonce.0, balance: balance.0, code_hash, ..Account::default() };
        // An empty account that is named was there: up to Spurious Dragon that is not the same as none.
        state.accounts.insert(address, (account, storage.into_iter().map(|(slot, value)| (slot.0, value.0)).collect()));
    }
    state.codes = codes.into_iter().map(|(hash, code)| (hash, code.0)).collect();
    for (number, hash) in hashes {
        state.block_hashes.insert(json::number(&number).ok_or_else(|| format!("no block number: {number}"))?, hash);
    }
    Ok(state)
}
