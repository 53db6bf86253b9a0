//! State out of a witness: what a stateless run of one block reads, and the root it arrives at.
//!
//! A witness (`debug_executionWitness`) holds the trie nodes and codes that the block reads, and its
//! ancestors' headers. Everything is known by its hash: nodes hang from the state root of the parent, the
//! parent from the block itself. So a witness can be incomplete but it cannot lie.

use crate::sparse::{NodeSet, SparseError, SparseTrie};
use alloy_primitives::map::B256Map;
use starling_primitives::{
    Account, AccountDiff, Address, B256, Bytes, EMPTY_CODE_HASH, EMPTY_ROOT_HASH, Header, ReadError, StateDiff,
    StateReader, U256, keccak256,
};
use std::collections::BTreeMap;

/// What a stateless run is given.
#[derive(Debug, Clone, Default)]
pub struct Witness {
    /// Nodes of the account trie and of storage tries as RLP, in any order.
    pub state: Vec<Bytes>,
    /// Contract codes, in any order.
    pub codes: Vec<Bytes>,
    /// Headers of ancestors as RLP, rising, the parent last.
    pub headers: Vec<Bytes>,
}

/// A witness that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WitnessError {
    /// Not even the parent is there.
    #[error("the witness holds no header")]
    NoParent,
    /// A header does not decode.
    #[error("header {index} of the witness does not decode: {error}")]
    Header {
        /// Its place in the list.
        index: usize,
        /// What is wrong with it.
        error: alloy_rlp::Error,
    },
    /// The headers are not one behind the other.
    #[error("header {index} of the witness does not follow the one before it")]
    Gap {
        /// The place in the list of the one that does not fit.
        index: usize,
    },
}

/// The state after the parent, as far as a witness knows it. What it does not know is an error when it is
/// asked for.
#[derive(Debug, Clone)]
pub struct WitnessState {
    /// Hash and header of the parent.
    pub parent: (B256, Header),
    nodes: NodeSet,
    codes: B256Map<Bytes>,
    block_hashes: BTreeMap<u64, B256>,
}

impl WitnessState {
    /// Opens a witness. Whether its last header is the parent of some block is the caller's to check.
    pub fn open(witness: Witness) -> Result<Self, WitnessError> {
        let mut block_hashes = BTreeMap::new();
        let mut parent: Option<(B256, Header)> = None;
        for (index, rlp) in witness.headers.iter().enumerate() {
            let header: Header = alloy_rlp::decode_exact(rlp).map_err(|error| WitnessError::Header { index, error })?;
            if parent.is_some_and(|(hash, before)| {
                hash != header.parent_hash || before.number.checked_add(1) != Some(header.number)
            }) {
                return Err(WitnessError::Gap { index });
            }
            // The oldest header knows one more ancestor.
            if index == 0
                && let Some(number) = header.number.checked_sub(1)
            {
                block_hashes.insert(number, header.parent_hash);
            }
            let hash = keccak256(rlp);
            block_hashes.insert(header.number, hash);
            parent = Some((hash, header));
        }
        Ok(Self {
            parent: parent.ok_or(WitnessError::NoParent)?,
            nodes: NodeSet::new(witness.state),
            codes: witness.codes.into_iter().map(|code| (keccak256(&code), code)).collect(),
            block_hashes,
        })
    }

    /// The state root before the block.
    pub fn root(&self) -> B256 {
        self.parent.1.state_root
    }

    /// The state root after a diff, with the storage roots of changed accounts filled in. What is written
    /// goes in before what is removed goes out, so that a branch which gets a new child never asks for the
    /// one that it keeps.
    pub fn root_after(&self, diff: &mut StateDiff) -> Result<B256, ReadError> {
        for account in &mut diff.accounts {
            self.fill_storage_root(account).map_err(unknown)?;
        }
        let mut trie = SparseTrie::new(&self.nodes, self.root());
        for account in &diff.accounts {
            if let Some(after) = &account.after {
                trie.put(account.key.as_slice(), alloy_rlp::encode(after).into()).map_err(unknown)?;
            }
        }
        for account in diff.accounts.iter().filter(|account| account.after.is_none()) {
            trie.remove(account.key.as_slice()).map_err(unknown)?;
        }
        Ok(trie.root())
    }

    fn fill_storage_root(&self, account: &mut AccountDiff) -> Result<(), SparseError> {
        let Some(after) = &mut account.after else { return Ok(()) };
        let before = match account.before {
            Some(before) if !account.wiped => before.storage_root,
            _ => EMPTY_ROOT_HASH,
        };
        let mut trie = SparseTrie::new(&self.nodes, before);
        for slot in account.slots.iter().filter(|slot| !slot.after.is_zero()) {
            trie.put(slot.key.as_slice(), alloy_rlp::encode(slot.after).into())?;
        }
        for slot in account.slots.iter().filter(|slot| slot.after.is_zero()) {
            trie.remove(slot.key.as_slice())?;
        }
        after.storage_root = trie.root();
        Ok(())
    }

    fn read<T: alloy_rlp::Decodable>(&self, root: B256, key: B256) -> Result<Option<T>, ReadError> {
        let leaf = SparseTrie::new(&self.nodes, root).get(key.as_slice()).map_err(unknown)?;
        let decode = |leaf: Bytes| alloy_rlp::decode_exact(leaf).map_err(|error| format!("a leaf of {root}: {error}"));
        leaf.map(decode).transpose().map_err(ReadError::Damaged)
    }
}

impl StateReader for WitnessState {
    fn account(&self, address: &Address) -> Result<Option<Account>, ReadError> {
        self.read(self.root(), keccak256(address))
    }

    fn slot(&self, address: &Address, slot: &U256) -> Result<U256, ReadError> {
        let Some(account) = self.account(address)? else { return Ok(U256::ZERO) };
        Ok(self.read(account.storage_root, keccak256(slot.to_be_bytes::<32>()))?.unwrap_or_default())
    }

    fn code(&self, hash: &B256) -> Result<Bytes, ReadError> {
        if *hash == EMPTY_CODE_HASH {
            return Ok(Bytes::new());
        }
        self.codes.get(hash).cloned().ok_or_else(|| ReadError::Damaged(format!("the witness lacks the code {hash}")))
    }

    fn block_hash(&self, number: u64) -> Result<Option<B256>, ReadError> {
        Ok(self.block_hashes.get(&number).copied())
    }

    fn has_code(&self, hash: &B256) -> bool {
        *hash == EMPTY_CODE_HASH || self.codes.contains_key(hash)
    }
}

fn unknown(error: SparseError) -> ReadError {
    ReadError::Damaged(format!("the witness is not complete: {error}"))
}
