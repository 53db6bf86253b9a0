//! Merkle proofs out of rows: the nodes on the way to a key, as `eth_getProof` lists them.
//!
//! A proof ends at the key's leaf, or where the way leaves the trie: at a branch without that child, at an
//! extension to elsewhere, at another key's leaf. Nodes shorter than 32 bytes stand in their parents and
//! are not listed, the root always is. An empty trie has an empty proof.

use crate::node::{self, NodeRef};
use crate::row::{Child, Children, RootRow};
use crate::tries::{AccountTrie, StorageTrie, Trie, child_path};
use crate::{TrieError, TrieReader};
use alloy_primitives::map::{Entry, HashMap};
use starling_primitives::{B256, Bytes, Nibbles};

/// The nodes from the state root to an account's leaf (or to where it would be), root first.
pub fn account_proof(reader: &dyn TrieReader, account: &B256) -> Result<Vec<Bytes>, TrieError> {
    Prover::new(&AccountTrie(reader)).prove(account)
}

/// The nodes from an account's storage root to a slot's leaf (or to where it would be), root first.
/// Empty for an empty trie.
pub fn storage_proof(reader: &dyn TrieReader, account: &B256, slot: &B256) -> Result<Vec<Bytes>, TrieError> {
    Prover::new(&StorageTrie { reader, account }).prove(slot)
}

/// [`storage_proof`] of several slots, in their order; nodes on the way to more than one are made once.
pub fn storage_proofs(reader: &dyn TrieReader, account: &B256, slots: &[B256]) -> Result<Vec<Vec<Bytes>>, TrieError> {
    let trie = StorageTrie { reader, account };
    let mut prover = Prover::new(&trie);
    slots.iter().map(|slot| prover.prove(slot)).collect()
}

/// Proves keys of one trie.
struct Prover<'t, T> {
    trie: &'t T,
    /// Branches met so far, by path; at most 64 a key.
    branches: HashMap<Nibbles, Branch>,
}

/// A branch as a proof needs it.
struct Branch {
    children: Children,
    rlp: Bytes,
}

impl<'t, T: Trie> Prover<'t, T> {
    fn new(trie: &'t T) -> Self {
        Self { trie, branches: HashMap::default() }
    }

    fn prove(&mut self, key: &B256) -> Result<Vec<Bytes>, TrieError> {
        let target = Nibbles::unpack(key);
        let mut proof = Vec::new();
        let mut path = match self.trie.root_row()? {
            None => return Ok(proof),
            Some((RootRow::Leaf { key, .. }, _)) => return Ok(vec![self.leaf(&key, 0)?]),
            Some((RootRow::Extension { path, .. }, _)) => {
                proof.push(self.extension(&path, &path)?);
                path
            }
            Some((RootRow::Branch, _)) => Nibbles::new(),
        };
        while target.starts_with(&path) {
            let branch = self.branch(&path)?;
            if path.is_empty() || NodeRef::of(&branch.rlp).is_hash() {
                proof.push(branch.rlp.clone());
            }
            let nibble = target.get_unchecked(path.len());
            match branch.children[usize::from(nibble)] {
                Child::Empty => break,
                Child::Leaf { key, node } => {
                    if node.is_hash() {
                        proof.push(self.leaf(&key, path.len() + 1)?);
                    }
                    break;
                }
                Child::Branch { extension, node } => {
                    path = child_path(&path, nibble, &extension);
                    if !extension.is_empty() && node.is_hash() {
                        proof.push(self.extension(&path, &extension)?);
                    }
                }
            }
        }
        Ok(proof)
    }

    fn branch(&mut self, path: &Nibbles) -> Result<&Branch, TrieError> {
        match self.branches.entry(*path) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(place) => {
                let children = self.trie.branch(path)?;
                let rlp = encoded(|out| node::encode_branch(&children, out));
                Ok(place.insert(Branch { children, rlp }))
            }
        }
    }

    /// The leaf `depth` nibbles below the root.
    fn leaf(&self, key: &B256, depth: usize) -> Result<Bytes, TrieError> {
        let value = alloy_rlp::encode(self.trie.leaf(key)?);
        Ok(encoded(|out| node::encode_leaf(key, depth, &value, out)))
    }

    /// The extension before the branch at `path`.
    fn extension(&mut self, path: &Nibbles, extension: &Nibbles) -> Result<Bytes, TrieError> {
        let branch = NodeRef::of(&self.branch(path)?.rlp);
        Ok(encoded(|out| node::encode_extension(extension, &branch, out)))
    }
}

fn encoded(encode: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut rlp = Vec::new();
    encode(&mut rlp);
    rlp.into()
}
