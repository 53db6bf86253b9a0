//! Sorted changes merged into one trie: every branch on their way is read once, rebuilt once, hashed once.
//!
//! The recursion follows the changes down the old rows. What comes back up is a [`Subtree`] that does not
//! know its place yet: a leaf or a branch is hashed into a reference only when it is clear at which depth
//! it stands, for a branch that loses all children but one gives that one to its own parent.

use crate::node::{self, NodeRef};
use crate::row::{Child, RootRow};
use crate::tries::Trie;
use crate::{TrieError, TrieError::Damaged};
use rayon::prelude::*;
use smallvec::SmallVec;
use starling_primitives::{B256, BranchRow, Bytes, EMPTY_ROOT_HASH, Nibbles, keccak256};

/// From this many changes under one branch, its 16 children are handed to the pool one by one. A change costs
/// about 5 µs, so a task is about 80 µs: well above what handing it over may cost, and still many tasks.
pub(crate) const PARALLEL_MIN: usize = 256;

/// What a key shall hold, none to delete it.
pub(crate) struct Change<'a, V> {
    pub(crate) key: &'a B256,
    pub(crate) value: Option<&'a V>,
}

/// A key and what it shall hold.
type Leaf<'a, V> = (&'a B256, &'a V);

/// Leaves to build from, usually one or two where an old leaf is split.
type Leaves<'a, V> = SmallVec<[Leaf<'a, V>; 4]>;

/// What stands below some point of a trie, wherever that point is.
pub(crate) enum Subtree<'a, V> {
    Empty,
    /// A leaf; without a value it is an old one, whose value the flat state holds.
    Leaf {
        key: B256,
        value: Option<&'a V>,
    },
    /// The branch at `path`; without a reference it is an old one, whose row tells it.
    Branch {
        path: Nibbles,
        node: Option<NodeRef>,
    },
}

/// What changes did to a subtree.
pub(crate) enum Outcome<'a, V> {
    Unchanged,
    Changed(Subtree<'a, V>),
}

/// A child of a branch that is being rebuilt.
pub(crate) enum Slot<'a, V> {
    Kept(Child),
    New(Subtree<'a, V>),
}

/// The children of a branch that is being rebuilt, by nibble.
pub(crate) type Slots<'a, V> = [Slot<'a, V>; 16];

fn no_slots<'a, V>() -> Slots<'a, V> {
    [const { Slot::New(Subtree::Empty) }; 16]
}

/// Merges changes, sorted by key, into a trie; `fresh` takes it for empty without looking.
/// The new root, and the rows that changed, sorted by path.
pub(crate) fn merge<T: Trie>(
    trie: &T,
    fresh: bool,
    changes: &[Change<'_, T::Value>],
) -> Result<(B256, Vec<BranchRow>), TrieError> {
    let mut merger = Merger::new(trie);
    let old = if fresh { None } else { trie.root_row()? };
    let outcome = match &old {
        None => merger.child(&Nibbles::new(), &Child::Empty, changes)?,
        Some((RootRow::Leaf { key, .. }, _)) => merger.under_leaf(key, changes)?,
        Some((RootRow::Extension { path, .. }, _)) => merger.under_branch(path, changes)?,
        Some((RootRow::Branch, row)) => merger.branch(&Nibbles::new(), row, changes)?,
    };
    let root = match outcome {
        Outcome::Changed(subtree) => merger.place_root(subtree, old.as_ref().map(|(_, row)| row))?,
        Outcome::Unchanged => old_root(trie, old)?,
    };
    Ok((root, merger.rows))
}

/// The root that the rows of a trie say it has.
pub(crate) fn root<T: Trie>(trie: &T) -> Result<B256, TrieError> {
    old_root(trie, trie.root_row()?)
}

fn old_root<T: Trie>(trie: &T, row: Option<(RootRow, Bytes)>) -> Result<B256, TrieError> {
    let Some((root, row)) = row else { return Ok(EMPTY_ROOT_HASH) };
    match root {
        RootRow::Leaf { root, .. } | RootRow::Extension { root, .. } => Ok(root),
        RootRow::Branch => {
            let mut rlp = Vec::new();
            node::encode_branch(&trie.children(&Nibbles::new(), &row)?, &mut rlp);
            Ok(keccak256(rlp))
        }
    }
}

/// The recursion over one trie, or over one part of it.
pub(crate) struct Merger<'t, T> {
    pub(crate) trie: &'t T,
    /// What changed, sorted by path: a branch takes its place here before its children do.
    pub(crate) rows: Vec<BranchRow>,
    /// The row being written.
    pub(crate) row: Vec<u8>,
    /// The node being encoded.
    pub(crate) node: Vec<u8>,
    /// The leaf value being encoded.
    pub(crate) value: Vec<u8>,
}

impl<'t, T: Trie> Merger<'t, T> {
    fn new(trie: &'t T) -> Self {
        Self { trie, rows: Vec::new(), row: Vec::new(), node: Vec::new(), value: Vec::new() }
    }

    /// Changes to what stands at `at`.
    fn child<'a>(
        &mut self,
        at: &Nibbles,
        old: &Child,
        changes: &[Change<'a, T::Value>],
    ) -> Result<Outcome<'a, T::Value>, TrieError> {
        match old {
            Child::Leaf { key, .. } => self.under_leaf(key, changes),
            Child::Branch { extension, .. } if extension.is_empty() => self.under_branch(at, changes),
            Child::Branch { extension, .. } => self.under_branch(&at.join(extension), changes),
            Child::Empty => match &*puts(changes) {
                [] => Ok(Outcome::Unchanged),
                leaves => Ok(Outcome::Changed(self.build(leaves)?)),
            },
        }
    }

    /// Changes where an old leaf stands: they replace it, or move it down.
    fn under_leaf<'a>(
        &mut self,
        old: &B256,
        changes: &[Change<'a, T::Value>],
    ) -> Result<Outcome<'a, T::Value>, TrieError> {
        let leaves = puts(changes);
        if changes.iter().any(|change| change.key == old) {
            return Ok(Outcome::Changed(self.build(&leaves)?));
        }
        if leaves.is_empty() {
            return Ok(Outcome::Unchanged);
        }
        let value = self.trie.leaf(old)?;
        let mut leaves: Leaves<'_, T::Value> = leaves.iter().map(|&(key, value)| (key, value)).collect();
        leaves.insert(leaves.partition_point(|(key, _)| *key < old), (old, &value));
        let (path, node) = self.build_branch(&leaves)?;
        Ok(Outcome::Changed(Subtree::Branch { path, node: Some(node) }))
    }

    /// Changes where the old branch at `path` stands, perhaps behind an extension that they leave.
    fn under_branch<'a>(
        &mut self,
        path: &Nibbles,
        changes: &[Change<'a, T::Value>],
    ) -> Result<Outcome<'a, T::Value>, TrieError> {
        let inside = under(changes, path);
        // The shortest common prefix is with the first or the last key, since they are sorted.
        let mut puts = changes.iter().filter(|change| change.value.is_some());
        let outermost = [puts.next(), puts.next_back()].into_iter().flatten();
        let shared = outermost.map(|change| Nibbles::unpack(change.key).common_prefix_length(path)).min();
        match shared {
            Some(depth) if depth < path.len() => self.split(path, depth, changes),
            _ if inside.is_empty() => Ok(Outcome::Unchanged),
            _ => {
                let row = self.trie.branch_row(path)?;
                self.branch(path, &row, inside)
            }
        }
    }

    /// A new branch `depth` nibbles below the root, in the middle of the way to the old one at `path`.
    fn split<'a>(
        &mut self,
        path: &Nibbles,
        depth: usize,
        changes: &[Change<'a, T::Value>],
    ) -> Result<Outcome<'a, T::Value>, TrieError> {
        let at = path.slice_unchecked(0, depth);
        let changes = under(changes, &at);
        let ends = ends(changes.iter().map(|change| change.key), depth);
        let own = usize::from(path.get_unchecked(depth));
        let place = self.reserve(at, None);
        let mut slots = no_slots();
        self.each_child(&mut slots, changes.len(), |merger, nibble| {
            let group = &changes[ends[nibble]..ends[nibble + 1]];
            if nibble != own {
                return Ok(Slot::New(merger.build(&puts(group))?));
            }
            Ok(Slot::New(match merger.under_branch(path, group)? {
                Outcome::Unchanged => Subtree::Branch { path: *path, node: None },
                Outcome::Changed(subtree) => subtree,
            }))
        })?;
        self.assemble(at, &slots, place)
    }

    /// Changes, at least one, under the old branch at `path`.
    fn branch<'a>(
        &mut self,
        path: &Nibbles,
        row: &Bytes,
        changes: &[Change<'a, T::Value>],
    ) -> Result<Outcome<'a, T::Value>, TrieError> {
        let old = self.trie.children(path, row)?;
        let ends = ends(changes.iter().map(|change| change.key), path.len());
        let place = self.reserve(*path, Some(row));
        let mut slots = no_slots();
        self.each_child(&mut slots, changes.len(), |merger, nibble| {
            let group = &changes[ends[nibble]..ends[nibble + 1]];
            if group.is_empty() {
                return Ok(Slot::Kept(old[nibble]));
            }
            let mut at = *path;
            at.push_unchecked(nibble as u8);
            Ok(match merger.child(&at, &old[nibble], group)? {
                Outcome::Unchanged => Slot::Kept(old[nibble]),
                Outcome::Changed(subtree) => Slot::New(subtree),
            })
        })?;
        self.assemble(*path, &slots, place)
    }

    /// Takes the place of a branch's row before its children take theirs; where it is.
    fn reserve(&mut self, path: Nibbles, before: Option<&Bytes>) -> usize {
        self.rows.push(BranchRow { path, before: before.cloned(), after: None });
        self.rows.len() - 1
    }

    /// A subtree of its own from leaves, sorted by key.
    fn build<'a>(&mut self, leaves: &[Leaf<'a, T::Value>]) -> Result<Subtree<'a, T::Value>, TrieError> {
        Ok(match leaves {
            [] => Subtree::Empty,
            [(key, value)] => Subtree::Leaf { key: **key, value: Some(value) },
            _ => {
                let (path, node) = self.build_branch(leaves)?;
                Subtree::Branch { path, node: Some(node) }
            }
        })
    }

    /// The path of, and the reference to, the branch over at least two leaves.
    fn build_branch(&mut self, leaves: &[Leaf<'_, T::Value>]) -> Result<(Nibbles, NodeRef), TrieError> {
        let [first, last] = [leaves[0].0, leaves[leaves.len() - 1].0].map(Nibbles::unpack);
        let path = first.slice_unchecked(0, first.common_prefix_length(&last));
        let ends = ends(leaves.iter().map(|(key, _)| *key), path.len());
        let place = self.reserve(path, None);
        let mut slots = no_slots();
        self.each_child(&mut slots, leaves.len(), |merger, nibble| {
            Ok(Slot::New(merger.build(&leaves[ends[nibble]..ends[nibble + 1]])?))
        })?;
        match self.assemble(path, &slots, place)? {
            Outcome::Changed(Subtree::Branch { path, node: Some(node) }) => Ok((path, node)),
            _ => Err(Damaged("leaves are not sorted".into())),
        }
    }

    /// Fills each of a branch's slots by `work`, on the pool if there are many changes.
    fn each_child<'a>(
        &mut self,
        slots: &mut Slots<'a, T::Value>,
        changes: usize,
        work: impl Fn(&mut Self, usize) -> Result<Slot<'a, T::Value>, TrieError> + Sync,
    ) -> Result<(), TrieError> {
        if changes < PARALLEL_MIN || rayon::current_num_threads() == 1 {
            for (nibble, slot) in slots.iter_mut().enumerate() {
                *slot = work(self, nibble)?;
            }
            return Ok(());
        }
        let trie = self.trie;
        let parts = slots.par_iter_mut().enumerate().map(|(nibble, slot)| {
            let mut merger = Self::new(trie);
            *slot = work(&mut merger, nibble)?;
            Ok(merger.rows)
        });
        for mut rows in parts.collect::<Result<Vec<_>, TrieError>>()? {
            self.rows.append(&mut rows);
        }
        Ok(())
    }
}

/// What is put, without what is deleted.
fn puts<'a, V>(changes: &[Change<'a, V>]) -> Leaves<'a, V> {
    changes.iter().filter_map(|change| Some((change.key, change.value?))).collect()
}

/// The changes whose keys begin with `path`.
fn under<'c, 'a, V>(changes: &'c [Change<'a, V>], path: &Nibbles) -> &'c [Change<'a, V>] {
    let starts = |change: &Change<'_, V>| Nibbles::unpack(change.key).starts_with(path);
    if changes.first().is_some_and(starts) && changes.last().is_some_and(starts) {
        return changes;
    }
    let first = changes.partition_point(|change| Nibbles::unpack(change.key) < *path);
    let rest = &changes[first..];
    &rest[..rest.partition_point(starts)]
}

/// Where each nibble's keys begin, and at last where all end: sorted keys grouped by the nibble at `depth`.
fn ends<'k>(keys: impl Iterator<Item = &'k B256>, depth: usize) -> [usize; 17] {
    let mut ends = [0; 17];
    for key in keys {
        let byte = key[depth / 2];
        let nibble = if depth.is_multiple_of(2) { byte >> 4 } else { byte & 0x0f };
        ends[usize::from(nibble) + 1] += 1;
    }
    for nibble in 0..16 {
        ends[nibble + 1] += ends[nibble];
    }
    ends
}

#[cfg(test)]
mod tests;
