//! Subtrees put in their places: from the children that a merge found to nodes, references and rows.

use crate::TrieError;
use crate::merge::{Merger, Outcome, Slot, Slots, Subtree};
use crate::node::{self, NodeRef};
use crate::row::{self, Child};
use crate::tries::{Trie, child_path};
use alloy_rlp::Encodable;
use starling_primitives::{B256, BranchRow, Bytes, EMPTY_ROOT_HASH, Nibbles, keccak256};

impl<T: Trie> Merger<'_, T> {
    /// The branch at `path` from its new children, or what is left if they are fewer than two.
    /// `place` is where its row stands: the old one if there is one, then the new one.
    pub(crate) fn assemble<'a>(
        &mut self,
        path: Nibbles,
        slots: &Slots<'a, T::Value>,
        place: usize,
    ) -> Result<Outcome<'a, T::Value>, TrieError> {
        if slots.iter().all(|slot| matches!(slot, Slot::Kept(_))) {
            self.rows.remove(place);
            return Ok(Outcome::Unchanged);
        }
        if slots.iter().filter(|slot| !slot.is_empty()).count() < 2 {
            if self.rows[place].before.is_none() {
                self.rows.remove(place);
            }
            return Ok(Outcome::Changed(last_child(&path, slots)));
        }
        let mut children = [Child::Empty; 16];
        for (child, slot) in children.iter_mut().zip(slots) {
            *child = match slot {
                Slot::Kept(child) => *child,
                Slot::New(subtree) => self.place(subtree, path.len() + 1)?,
            };
        }
        self.row.clear();
        row::encode_branch(path.len(), &children, &mut self.row);
        if self.rows[place].before.as_ref().is_some_and(|before| before[..] == self.row) {
            self.rows.remove(place);
            return Ok(Outcome::Unchanged);
        }
        self.rows[place].after = Some(Bytes::copy_from_slice(&self.row));
        self.node.clear();
        node::encode_branch(&children, &mut self.node);
        Ok(Outcome::Changed(Subtree::Branch { path, node: Some(NodeRef::of(&self.node)) }))
    }

    /// A subtree as the child of a branch, `depth` nibbles below the root.
    fn place(&mut self, subtree: &Subtree<'_, T::Value>, depth: usize) -> Result<Child, TrieError> {
        match subtree {
            Subtree::Empty => Ok(Child::Empty),
            Subtree::Leaf { key, value } => {
                self.encode_leaf(key, *value, depth)?;
                Ok(Child::Leaf { key: *key, node: NodeRef::of(&self.node) })
            }
            Subtree::Branch { path, node } => {
                let extension = path.slice_unchecked(depth, path.len());
                let node = self.encode_way_to_branch(path, *node, &extension)?;
                Ok(Child::Branch { extension, node })
            }
        }
    }

    /// A subtree as the whole trie: its root, with the row at the empty path in order.
    pub(crate) fn place_root(
        &mut self,
        subtree: Subtree<'_, T::Value>,
        old: Option<&Bytes>,
    ) -> Result<B256, TrieError> {
        let (root, row) = match subtree {
            Subtree::Empty => (EMPTY_ROOT_HASH, None),
            Subtree::Leaf { key, value } => {
                self.encode_leaf(&key, value, 0)?;
                let root = keccak256(&self.node);
                (root, Some(row::encode_root_leaf(&key, &root)))
            }
            Subtree::Branch { path, node } => {
                let root = self.encode_way_to_branch(&path, node, &path)?.root_hash();
                if path.is_empty() {
                    return Ok(root);
                }
                (root, Some(row::encode_root_extension(&path, &root)))
            }
        };
        if self.rows.first().is_some_and(|row| row.path.is_empty()) {
            self.rows.remove(0);
        }
        if row.as_deref() != old.map(|old| &old[..]) {
            let row = BranchRow { path: Nibbles::new(), before: old.cloned(), after: row.map(Bytes::from) };
            self.rows.insert(0, row);
        }
        Ok(root)
    }

    fn encode_leaf(&mut self, key: &B256, value: Option<&T::Value>, depth: usize) -> Result<(), TrieError> {
        self.value.clear();
        match value {
            Some(value) => value.encode(&mut self.value),
            None => self.trie.leaf(key)?.encode(&mut self.value),
        }
        self.node.clear();
        node::encode_leaf(key, depth, &self.value, &mut self.node);
        Ok(())
    }

    /// The reference to the branch at `path`, or to the extension before it.
    fn encode_way_to_branch(
        &mut self,
        path: &Nibbles,
        branch: Option<NodeRef>,
        extension: &Nibbles,
    ) -> Result<NodeRef, TrieError> {
        let branch = match branch {
            Some(node) => node,
            None => self.trie.branch_node(path)?,
        };
        if extension.is_empty() {
            return Ok(branch);
        }
        self.node.clear();
        node::encode_extension(extension, &branch, &mut self.node);
        Ok(NodeRef::of(&self.node))
    }
}

impl<V> Slot<'_, V> {
    fn is_empty(&self) -> bool {
        matches!(self, Self::Kept(Child::Empty) | Self::New(Subtree::Empty))
    }
}

/// The one child that is left of the branch at `path`, if one is.
fn last_child<'a, V>(path: &Nibbles, slots: &Slots<'a, V>) -> Subtree<'a, V> {
    let left = (0..).zip(slots).find(|(_, slot)| !slot.is_empty());
    match left {
        None | Some((_, Slot::Kept(Child::Empty) | Slot::New(Subtree::Empty))) => Subtree::Empty,
        Some((_, Slot::New(Subtree::Leaf { key, value }))) => Subtree::Leaf { key: *key, value: *value },
        Some((_, Slot::New(Subtree::Branch { path, node }))) => Subtree::Branch { path: *path, node: *node },
        Some((_, Slot::Kept(Child::Leaf { key, .. }))) => Subtree::Leaf { key: *key, value: None },
        Some((nibble, Slot::Kept(Child::Branch { extension, node }))) => Subtree::Branch {
            path: child_path(path, nibble, extension),
            // Behind an extension the parent knows the extension's reference only.
            node: extension.is_empty().then_some(*node),
        },
    }
}
