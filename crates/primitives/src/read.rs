use crate::Account;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use std::collections::{BTreeMap, HashMap};

/// Why state could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The snapshot was held longer than its deadline; take a new one.
    #[error("the snapshot of block {block} has expired; ask again")]
    Expired {
        /// The block whose state was being read.
        block: u64,
    },
    /// The state of that block is not kept any more (or not yet).
    #[error("state of block {block} is not available: {why}")]
    NotKept {
        /// The block asked for.
        block: u64,
        /// Which bound it is past.
        why: String,
    },
    /// What was asked for ought to be there and is not, or does not decode.
    #[error("damaged database: {0}")]
    Damaged(String),
    /// The disk or the database said no.
    #[error("reading failed: {0}")]
    Io(String),
}

/// State at one block: what the executor reads. Absent accounts are `None`, absent slots zero.
///
/// Implemented by `state`'s view of the database and by [`MemoryState`].
pub trait StateReader {
    /// The account at an address.
    fn account(&self, address: &Address) -> Result<Option<Account>, ReadError>;
    /// A storage slot's value.
    fn slot(&self, address: &Address, slot: &U256) -> Result<U256, ReadError>;
    /// Code by its hash; asked only for hashes that an account named.
    fn code(&self, hash: &B256) -> Result<Bytes, ReadError>;
    /// The hash of an ancestor of the block being executed, none if it is unknown.
    fn block_hash(&self, number: u64) -> Result<Option<B256>, ReadError>;
    /// Whether this state has the code of a hash that an account named. Not so only where some of it may be
    /// missing: code is kept across states, and must not stand in for what such a one lacks.
    fn has_code(&self, _hash: &B256) -> bool {
        true
    }
}

/// State in plain maps: for tests, genesis files and stateless execution.
#[derive(Debug, Clone, Default)]
pub struct MemoryState {
    /// Accounts with their storage; storage roots are not kept up to date here.
    pub accounts: BTreeMap<Address, (Account, BTreeMap<U256, U256>)>,
    /// Code by hash.
    pub codes: HashMap<B256, Bytes>,
    /// Hashes of ancestors by number.
    pub block_hashes: HashMap<u64, B256>,
}

impl MemoryState {
    /// Adds or replaces an account, its code and its storage; zero slots are left out.
    pub fn insert(&mut self, address: Address, nonce: u64, balance: U256, code: Bytes, storage: BTreeMap<U256, U256>) {
        let code_hash = keccak256(&code);
        self.codes.insert(code_hash, code);
        let account = Account { nonce, balance, code_hash, ..Default::default() };
        let storage = storage.into_iter().filter(|(_, value)| !value.is_zero()).collect();
        self.accounts.insert(address, (account, storage));
    }
}

impl StateReader for MemoryState {
    fn account(&self, address: &Address) -> Result<Option<Account>, ReadError> {
        Ok(self.accounts.get(address).map(|(account, _)| *account))
    }

    fn slot(&self, address: &Address, slot: &U256) -> Result<U256, ReadError> {
        Ok(self.accounts.get(address).and_then(|(_, storage)| storage.get(slot)).copied().unwrap_or_default())
    }

    fn code(&self, hash: &B256) -> Result<Bytes, ReadError> {
        if *hash == crate::EMPTY_CODE_HASH {
            return Ok(Bytes::new());
        }
        self.codes.get(hash).cloned().ok_or_else(|| ReadError::Damaged(format!("no code for hash {hash}")))
    }

    fn block_hash(&self, number: u64) -> Result<Option<B256>, ReadError> {
        Ok(self.block_hashes.get(&number).copied())
    }
}
