//! State tests: one transaction on a small state, in a block without anything around it.
//!
//! The transaction runs as in a block of its own ([`execute_transaction`]); its diff goes into the tries, whose root
//! must be the variant's.

use super::{
    blocks::{at, unreadable},
    cases::{Cases, Failure, Verdict},
    json::{Accounts, Hex, Number, Word},
    network::{Config, fork_of, spec_of},
    reasons::Refusal,
};
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use serde::Deserialize;
use serde_json::value::RawValue;
use starling_chainspec::{ChainSpec, Fork};
use starling_execution::execute_transaction;
use starling_primitives::{
    Account, AccountDiff, Header, Log, MemoryState, ReadError, StateDiff, StateReader, Transaction, recover_sender,
};
use starling_trie::{MemoryTrie, TrieUpdate};
use std::{borrow::Borrow, collections::BTreeMap};

/// A case of the file: many variants of one transaction.
#[derive(Deserialize)]
struct Case<'a> {
    env: Env,
    pre: Accounts,
    #[serde(borrow)]
    transaction: &'a RawValue,
    post: BTreeMap<String, Vec<Variant>>,
    config: Option<Config>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Env {
    current_coinbase: Address,
    current_number: Number,
    current_timestamp: Number,
    current_gas_limit: Number,
    #[serde(default)]
    current_difficulty: Word,
    #[serde(default)]
    current_random: Word,
    current_base_fee: Option<Number>,
    current_excess_blob_gas: Option<Number>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Variant {
    indexes: Indexes,
    hash: B256,
    logs: B256,
    txbytes: Option<Hex>,
    expect_exception: Option<String>,
}

#[derive(Deserialize)]
struct Indexes {
    data: usize,
    gas: usize,
    value: usize,
}

/// The state before, as the executor reads it and as tries.
struct Before {
    state: MemoryState,
    trie: MemoryTrie,
}

/// Runs one case: every variant by itself, named `case/Fork/index`.
pub(super) fn run(name: &str, text: &RawValue, cases: &mut Cases<'_>) {
    let case: Case<'_> = match serde_json::from_str(text.get()) {
        Ok(case) => case,
        Err(error) => return cases.case(name, "", || -> Verdict { unreadable(&error).into() }),
    };
    let wanted = |cases: &Cases<'_>, network: &str, index: usize| cases.wants(&format!("{name}/{network}/{index}"));
    if !case.post.iter().any(|(network, variants)| (0..variants.len()).any(|index| wanted(cases, network, index))) {
        return;
    }
    let before = Before::of(case.pre);
    // The sets that give no configuration come from a tool that touches the coinbase after the transaction.
    let (config, touches) = (case.config.clone().unwrap_or_default(), case.config.is_none());
    for (network, variants) in &case.post {
        for (index, variant) in variants.iter().enumerate() {
            cases.case(&format!("{name}/{network}/{index}"), network, || -> Result<(), Failure> {
                let before = before.as_ref().map_err(|why| at("pre", "a state", why))?;
                let fork = fork_of(network).map_err(|why| at("", "a known network", why))?;
                let spec = spec_of(network, &config).map_err(|why| at("", "a known network", why))?;
                let run = Run { spec: &spec, fork, env: &case.env, transaction: case.transaction, before };
                run.variant(variant, touches)
            });
        }
    }
}

impl Before {
    fn of(pre: Accounts) -> Result<Self, String> {
        let (mut state, mut trie) = (pre.into_state(), MemoryTrie::default());
        let mut diff = starling_state::diff_from_nothing(&state);
        let update = starling_trie::update(&trie, &mut diff).map_err(|error| error.to_string())?;
        trie.apply(&diff, &update);
        // the executor asks whether an address has storage
        for account in diff.accounts {
            if let (Some((kept, _)), Some(after)) = (state.accounts.get_mut(&account.address), account.after) {
                *kept = after;
            }
        }
        Ok(Self { state, trie })
    }
}

/// A variant under way.
struct Run<'a> {
    spec: &'a ChainSpec,
    fork: Fork,
    env: &'a Env,
    transaction: &'a RawValue,
    before: &'a Before,
}

impl Run<'_> {
    fn variant(&self, variant: &Variant, touches: bool) -> Result<(), Failure> {
        let header = self.header();
        let ran = self.transaction(variant).and_then(|(tx, sender)| {
            let reader = NumberHashes(&self.before.state);
            execute_transaction(self.spec, &header, &tx, sender, &reader)
                .map_err(|error| Refusal::Invalid(error.into()))
        });
        let (logs, mut diff) = match (ran, &variant.expect_exception) {
            (Ok((receipt, diff)), None) => (receipt.logs, diff),
            (Ok(_), Some(names)) => return Err(at("", names, "the transaction was accepted")),
            (Err(refusal), Some(names)) if refusal.is_for(names) => (Vec::new(), StateDiff::default()),
            (Err(refusal), names) => return Err(at("", names.as_deref().unwrap_or("a valid transaction"), refusal)),
        };
        if touches {
            touch(&mut diff, &self.before.state, self.env.current_coinbase, self.fork);
        }
        let logs_hash = logs_hash(&logs);
        if logs_hash != variant.logs {
            return Err(at("", format!("logs of hash {}", variant.logs), format!("{logs_hash}: {logs:?}")));
        }
        match starling_trie::update(&self.before.trie, &mut diff) {
            Ok(TrieUpdate { root, .. }) if root == variant.hash => Ok(()),
            Ok(TrieUpdate { root, .. }) => {
                Err(at("", format!("state root {}", variant.hash), format!("state root {root}")))
            }
            Err(error) => Err(at("", "a state root", error)),
        }
    }

    fn header(&self) -> Header {
        let (env, fork) = (self.env, self.fork);
        let merged = fork >= Fork::Paris;
        let since = |fork_of_field, value: Option<Number>, otherwise| {
            (fork >= fork_of_field).then(|| value.map_or(otherwise, |Number(number)| number))
        };
        Header {
            beneficiary: env.current_coinbase,
            number: env.current_number.0,
            timestamp: env.current_timestamp.0,
            gas_limit: env.current_gas_limit.0,
            difficulty: if merged { U256::ZERO } else { env.current_difficulty.0 },
            mix_hash: env.current_random.0.into(),
            base_fee_per_gas: since(Fork::London, env.current_base_fee, BASE_FEE_DEFAULT),
            excess_blob_gas: since(Fork::Cancun, env.current_excess_blob_gas, 0),
            ..Header::default()
        }
    }

    /// The variant's transaction and its sender: out of its bytes if they are given, else out of its parts.
    fn transaction(&self, variant: &Variant) -> Result<(Transaction, Address), Refusal> {
        let malformed =
            |error: String| Refusal::from(starling_validation::PrepareError::Transaction { index: 0, error });
        if let Some(Hex(raw)) = &variant.txbytes {
            let tx = Transaction::decode_2718_exact(raw).map_err(|error| malformed(error.to_string()))?;
            let sender =
                recover_sender(&tx, self.fork >= Fork::Homestead).map_err(starling_validation::PrepareError::from)?;
            return Ok((tx, sender));
        }
        let Indexes { data, gas, value } = variant.indexes;
        super::unsigned::transaction(self.transaction, data, gas, value).map_err(malformed)
    }
}

/// Base fee of an environment that names none, in wei.
const BASE_FEE_DEFAULT: u64 = 10;

fn logs_hash(logs: &Vec<Log>) -> B256 {
    keccak256(alloy_rlp::encode(logs))
}

/// Touches the coinbase with nothing: up to EIP-150 an account appears there, from EIP-161 on an empty one goes.
fn touch(diff: &mut StateDiff, before: &MemoryState, coinbase: Address, fork: Fork) {
    let key = keccak256(coinbase);
    let kept = before.accounts.get(&coinbase).map(|(account, _)| *account);
    let place = diff.accounts.binary_search_by_key(&key, |account| account.key);
    let now = place.map_or(kept, |place| diff.accounts[place].after);
    let touched = match now {
        None if fork < Fork::SpuriousDragon => Some(Account::default()),
        Some(account) if fork >= Fork::SpuriousDragon && account.is_empty() => None,
        untouched => untouched,
    };
    if touched == now {
        return;
    }
    let wiped = touched.is_some() && kept.is_some_and(|kept| kept.storage_root != Account::default().storage_root);
    let entry = AccountDiff { key, address: coinbase, before: kept, after: touched, wiped, slots: Vec::new() };
    match place {
        Ok(place) if kept == touched => drop(diff.accounts.remove(place)),
        Ok(place) => diff.accounts[place] = entry,
        Err(place) => diff.accounts.insert(place, entry),
    }
}

/// A state whose block hashes are the hashes of the numbers' decimal text.
pub(super) struct NumberHashes<S>(pub(super) S);

impl<S: Borrow<MemoryState>> StateReader for NumberHashes<S> {
    fn account(&self, address: &Address) -> Result<Option<Account>, ReadError> {
        self.0.borrow().account(address)
    }
    fn slot(&self, address: &Address, slot: &U256) -> Result<U256, ReadError> {
        self.0.borrow().slot(address, slot)
    }
    fn code(&self, hash: &B256) -> Result<Bytes, ReadError> {
        self.0.borrow().code(hash)
    }
    fn block_hash(&self, number: u64) -> Result<Option<B256>, ReadError> {
        Ok(Some(keccak256(number.to_string())))
    }
}
