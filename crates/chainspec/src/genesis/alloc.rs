//! The `alloc` object of a genesis file.

use super::{
    GenesisError,
    json::{self, Field, Fields},
};
use alloy_primitives::U256;
use starling_primitives::MemoryState;
use std::collections::BTreeMap;

/// Reads every account.
pub(super) fn read(mut accounts: Fields<'_>) -> Result<MemoryState, GenesisError> {
    let mut state = MemoryState::default();
    while let Some((name, field)) = accounts.pop() {
        let address = json::address(&name).ok_or_else(|| GenesisError::Value {
            path: "alloc".into(),
            value: format!("{name:?}"),
            why: "is not an address of 20 bytes",
        })?;
        let mut account = field.object()?;
        let balance = account.need("balance")?.u256()?;
        let nonce = account.take("nonce")?.map_or(Ok(0), |field| field.u64())?;
        let code = account.take("code")?.map(|field| field.bytes()).transpose()?.unwrap_or_default();
        let storage = account.take("storage")?.map(|field| read_storage(&field)).transpose()?.unwrap_or_default();
        // the key of a test account: geth's tools write it, nothing reads it
        account.take("secretKey")?;
        account.finish()?;
        if state.accounts.contains_key(&address) {
            return Err(GenesisError::Twice { path: field.path });
        }
        state.insert(address, nonce, balance, code, storage);
    }
    Ok(state)
}

fn read_storage(field: &Field<'_>) -> Result<BTreeMap<U256, U256>, GenesisError> {
    let mut slots = field.object()?;
    let mut storage = BTreeMap::new();
    while let Some((name, value)) = slots.pop() {
        let slot = json::storage_word(&name).ok_or_else(|| GenesisError::Value {
            path: field.path.clone(),
            value: format!("{name:?}"),
            why: "is not hex of at most 32 bytes",
        })?;
        if storage.insert(slot, value.storage_word()?).is_some() {
            return Err(GenesisError::Twice { path: value.path });
        }
    }
    Ok(storage)
}
