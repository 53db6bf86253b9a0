use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use starling_primitives::{Account, BlockRef, EMPTY_CODE_HASH, Nibbles, ReadError, StateReader};
use starling_storage::View;
use starling_trie::TrieReader;

/// The state after one block: accounts, slots and code by address, rows for roots and proofs.
#[derive(Debug, Clone)]
pub struct StateView {
    view: View,
}

impl StateView {
    /// The state that a storage snapshot shows.
    pub fn new(view: View) -> Self {
        Self { view }
    }

    /// The block whose state this is.
    pub fn block(&self) -> BlockRef {
        self.view.state_block()
    }

    /// The storage snapshot underneath.
    pub fn view(&self) -> &View {
        &self.view
    }
}

/// The key of a slot in its account's storage trie.
pub(crate) fn slot_key(slot: &U256) -> B256 {
    keccak256(slot.to_be_bytes::<32>())
}

impl StateReader for StateView {
    fn account(&self, address: &Address) -> Result<Option<Account>, ReadError> {
        self.view.account(&keccak256(address))
    }

    fn slot(&self, address: &Address, slot: &U256) -> Result<U256, ReadError> {
        self.view.slot(&keccak256(address), &slot_key(slot))
    }

    fn code(&self, hash: &B256) -> Result<Bytes, ReadError> {
        if *hash == EMPTY_CODE_HASH {
            return Ok(Bytes::new());
        }
        self.view.code(hash)?.ok_or_else(|| ReadError::Damaged(format!("no code for hash {hash}")))
    }

    fn block_hash(&self, number: u64) -> Result<Option<B256>, ReadError> {
        self.view.canonical_hash(number)
    }
}

impl TrieReader for StateView {
    fn account_branch(&self, path: &Nibbles) -> Result<Option<Bytes>, ReadError> {
        self.view.account_branch(path)
    }

    fn storage_branch(&self, account: &B256, path: &Nibbles) -> Result<Option<Bytes>, ReadError> {
        self.view.storage_branch(account, path)
    }

    fn leaf_account(&self, account: &B256) -> Result<Option<Account>, ReadError> {
        self.view.account(account)
    }

    fn leaf_slot(&self, account: &B256, slot: &B256) -> Result<U256, ReadError> {
        self.view.slot(account, slot)
    }
}
