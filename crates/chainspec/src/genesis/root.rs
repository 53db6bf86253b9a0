//! The state root of a genesis: every account at once, streamed in key order. Blocks after it are
//! `trie`'s business, which lies on the same floor and cannot be used here.

use alloy_primitives::{B256, U256, keccak256};
use alloy_trie::HashBuilder;
use starling_primitives::{Account, MemoryState, Nibbles};
use std::collections::BTreeMap;

/// The root of the state trie over all accounts, their storage roots computed.
pub fn state_root(state: &MemoryState) -> B256 {
    let mut keyed: Vec<_> = state.accounts.iter().map(|(address, account)| (keccak256(address), account)).collect();
    keyed.sort_unstable_by_key(|(key, _)| *key);
    let mut builder = HashBuilder::default();
    for (key, (account, storage)) in keyed {
        let account = Account { storage_root: storage_root(storage), ..*account };
        builder.add_leaf(Nibbles::unpack(key), &alloy_rlp::encode(account));
    }
    builder.root()
}

fn storage_root(storage: &BTreeMap<U256, U256>) -> B256 {
    let mut keyed: Vec<_> = storage.iter().map(|(slot, value)| (keccak256(slot.to_be_bytes::<32>()), value)).collect();
    keyed.sort_unstable_by_key(|(key, _)| *key);
    let mut builder = HashBuilder::default();
    for (key, value) in keyed {
        builder.add_leaf(Nibbles::unpack(key), &alloy_rlp::encode(value));
    }
    builder.root()
}
