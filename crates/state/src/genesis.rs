use crate::state_view::slot_key;
use alloy_primitives::{B256, Bytes, U256, keccak256};
use starling_chainspec::ChainSpec;
use starling_primitives::{
    Account, AccountDiff, Block, BlockBody, BlockRef, EMPTY_CODE_HASH, MemoryState, Nibbles, ReadError, Receipt,
    SlotDiff, StateDiff,
};
use starling_storage::BlockRecord;
use starling_trie::{TrieError, TrieReader};

/// The genesis block of a chain as a record to begin a database with: its state is the diff from nothing.
///
/// # Errors
/// [`TrieError::Damaged`] if the accounts do not have the root that the genesis header names.
pub fn genesis_record(spec: &ChainSpec) -> Result<BlockRecord, TrieError> {
    let header = spec.genesis_header.clone();
    let mut diff = diff_from_nothing(&spec.genesis_state);
    let update = starling_trie::update(&Nothing, &mut diff)?;
    if update.root != header.state_root {
        return Err(TrieError::Damaged(format!(
            "the genesis accounts have state root {}, the genesis header names {}",
            update.root, header.state_root
        )));
    }
    let body =
        BlockBody { withdrawals: header.withdrawals_root.is_some().then(Default::default), ..Default::default() };
    let rlp = alloy_rlp::encode(Block { header: header.clone(), body });
    Ok(BlockRecord {
        block: BlockRef::new(header.number, header.hash_slow()),
        total_difficulty: Some(header.difficulty),
        header,
        rlp: rlp.into(),
        tx_hashes: Vec::new(),
        senders: Vec::new(),
        receipts: Receipt::encode_stored_list(&[]),
        access_list: None,
        diff,
        branches: update.branches,
    })
}

/// What makes a state out of nothing; its storage roots are still to be computed.
pub fn diff_from_nothing(state: &MemoryState) -> StateDiff {
    let mut diff = StateDiff::default();
    for (address, (account, storage)) in &state.accounts {
        let mut slots: Vec<_> = storage
            .iter()
            .map(|(slot, value)| SlotDiff { key: slot_key(slot), before: U256::ZERO, after: *value })
            .collect();
        slots.sort_unstable_by_key(|slot| slot.key);
        let after = Account { storage_root: Account::default().storage_root, ..*account };
        diff.accounts.push(AccountDiff {
            key: keccak256(address),
            address: *address,
            before: None,
            after: Some(after),
            wiped: false,
            slots,
        });
    }
    diff.accounts.sort_unstable_by_key(|account| account.key);
    diff.codes = state
        .codes
        .iter()
        .filter(|(hash, _)| **hash != EMPTY_CODE_HASH)
        .map(|(hash, code)| (*hash, code.clone()))
        .collect();
    diff.codes.sort_unstable_by_key(|code| code.0);
    diff
}

/// The state before genesis.
#[derive(Debug)]
struct Nothing;

impl TrieReader for Nothing {
    fn account_branch(&self, _: &Nibbles) -> Result<Option<Bytes>, ReadError> {
        Ok(None)
    }

    fn storage_branch(&self, _: &B256, _: &Nibbles) -> Result<Option<Bytes>, ReadError> {
        Ok(None)
    }

    fn leaf_account(&self, _: &B256) -> Result<Option<Account>, ReadError> {
        Ok(None)
    }

    fn leaf_slot(&self, _: &B256, _: &B256) -> Result<U256, ReadError> {
        Ok(U256::ZERO)
    }
}
