//! Merkle proofs of accounts and slots (EIP-1186).

use super::state::{KeyText, StorageKey};
use crate::{
    ApiError, RpcContext,
    api::{Answer, Api},
    args::Args,
    hex::Addr,
};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use serde::{Serialize, Serializer};
use starling_primitives::{Account, StateReader};
use starling_trie::{TrieError, account_proof, storage_proof};

pub(super) fn register(api: &mut Api) {
    api.query("eth_getProof", proof);
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProofJson {
    address: Address,
    account_proof: Vec<Bytes>,
    balance: U256,
    code_hash: B256,
    #[serde(with = "alloy_serde::quantity")]
    nonce: u64,
    storage_hash: B256,
    storage_proof: Vec<SlotProofJson>,
}

#[derive(Serialize)]
struct SlotProofJson {
    key: KeyJson,
    value: U256,
    proof: Vec<Bytes>,
}

/// A key in the form it came in: all digits, or as a number.
struct KeyJson(StorageKey);

impl Serialize for KeyJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.full_length {
            true => B256::from(self.0.slot).serialize(serializer),
            false => self.0.slot.serialize(serializer),
        }
    }
}

impl From<TrieError> for ApiError {
    fn from(error: TrieError) -> Self {
        match error {
            TrieError::Read(error) => error.into(),
            other => Self::Internal(other.to_string()),
        }
    }
}

fn proof(context: &RpcContext, mut args: Args<'_>) -> Answer<ProofJson> {
    let (Addr(address), keys, block) = (args.required()?, args.required::<Vec<KeyText<'_>>>()?, args.optional()?);
    args.end()?;
    let limit = context.limits.proof_keys_max;
    if keys.len() > limit {
        let got = keys.len();
        return Err(ApiError::params(format!("too many storage keys requested (max {limit}, got {got})")));
    }
    let keys: Vec<_> = keys.iter().map(|key| StorageKey::parse(key)).collect::<Answer<_>>()?;
    let state = context.state(block)?;
    let account = state.account(&address)?;
    let account_key = keccak256(address);
    let slot_proof = |key: StorageKey| -> Answer<SlotProofJson> {
        let value = state.slot(&address, &key.slot)?;
        // An absent account has no storage trie to walk.
        let proof = match account {
            Some(_) => storage_proof(&state, &account_key, &keccak256(key.slot.to_be_bytes::<32>()))?,
            None => Vec::new(),
        };
        Ok(SlotProofJson { key: KeyJson(key), value, proof })
    };
    // geth shows an absent account's hashes as zero, not as those of nothing.
    let absent = Account { storage_root: B256::ZERO, code_hash: B256::ZERO, ..Account::default() };
    let shown = account.unwrap_or(absent);
    Ok(ProofJson {
        address,
        account_proof: account_proof(&state, &account_key)?,
        balance: shown.balance,
        code_hash: shown.code_hash,
        nonce: shown.nonce,
        storage_hash: shown.storage_root,
        storage_proof: keys.into_iter().map(slot_proof).collect::<Answer<_>>()?,
    })
}
