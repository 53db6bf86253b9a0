//! The bytes of a row. Everyone else treats them as opaque; on disk they are frozen.
//!
//! ```text
//! branch     01 | leaves u16 | branches u16 | extended u16 | reference × children | remainder × children
//! leaf       02 | key 32 | root hash 32             only at the empty path: the trie is this leaf
//! extension  03 | extension | root hash 32          only at the empty path: the root is no branch
//! ```
//!
//! The three masks (big-endian, bit n is child n) say which children are leaves, which are branches, and
//! which of the branches stand behind an extension. References are RLP items as they stand in the branch
//! node. The remainder of a leaf is the end of its key, from the byte that holds its nibble in this branch:
//! the row's path tells how many bytes that is. The remainder of an extended branch is its extension (a
//! count of nibbles and the nibbles packed, the last half byte zero); other children have none.

use crate::node::{KEY_NIBBLES, NodeRef};
use starling_primitives::{B256, Nibbles};

const BRANCH: u8 = 1;
const LEAF: u8 = 2;
const EXTENSION: u8 = 3;

/// What is wrong with a row.
pub(crate) type Flaw = &'static str;

/// A branch's children, by nibble.
pub(crate) type Children = [Child; 16];

/// One child of a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Child {
    /// Nothing.
    Empty,
    /// A leaf with its whole key.
    Leaf { key: B256, node: NodeRef },
    /// A branch behind an extension (none if empty). `node` is the extension's if there is one.
    Branch { extension: Nibbles, node: NodeRef },
}

impl Child {
    /// The reference that stands in the parent, if there is a child.
    pub(crate) fn node(&self) -> Option<&NodeRef> {
        match self {
            Self::Empty => None,
            Self::Leaf { node, .. } | Self::Branch { node, .. } => Some(node),
        }
    }
}

/// What the row at the empty path says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RootRow {
    /// The root is a branch; [`decode_branch`] reads it.
    Branch,
    /// The trie is one leaf.
    Leaf { key: B256, root: B256 },
    /// The root is an extension to the branch at `path`.
    Extension { path: Nibbles, root: B256 },
}

/// Writes a branch's row. `depth` is the length of its path.
pub(crate) fn encode_branch(depth: usize, children: &Children, out: &mut Vec<u8>) {
    let [mut leaves, mut branches, mut extended] = [0u16; 3];
    for (nibble, child) in children.iter().enumerate() {
        match child {
            Child::Empty => {}
            Child::Leaf { .. } => leaves |= 1 << nibble,
            Child::Branch { extension, .. } => {
                branches |= 1 << nibble;
                extended |= u16::from(!extension.is_empty()) << nibble;
            }
        }
    }
    out.push(BRANCH);
    for mask in [leaves, branches, extended] {
        out.extend_from_slice(&mask.to_be_bytes());
    }
    for node in children.iter().filter_map(Child::node) {
        node.put(out);
    }
    for child in children {
        match child {
            Child::Leaf { key, .. } => out.extend_from_slice(&key[depth.div_ceil(2)..]),
            Child::Branch { extension, .. } if !extension.is_empty() => encode_nibbles(extension, out),
            _ => {}
        }
    }
}

/// Writes the row of a trie that is one leaf.
pub(crate) fn encode_root_leaf(key: &B256, root: &B256) -> Vec<u8> {
    [&[LEAF], key.as_slice(), root.as_slice()].concat()
}

/// Writes the row of a root that is an extension to the branch at `path`.
pub(crate) fn encode_root_extension(path: &Nibbles, root: &B256) -> Vec<u8> {
    let mut out = vec![EXTENSION];
    encode_nibbles(path, &mut out);
    out.extend_from_slice(root.as_slice());
    out
}

/// Reads the row of the branch at `path`.
pub(crate) fn decode_branch(path: &Nibbles, row: &[u8]) -> Result<Children, Flaw> {
    let mut input = Input(row);
    if path.len() >= KEY_NIBBLES || input.byte()? != BRANCH {
        return Err("not a branch");
    }
    let [leaves, branches, extended] = [input.mask()?, input.mask()?, input.mask()?];
    if leaves & branches != 0 || extended & !branches != 0 || (leaves | branches).count_ones() < 2 {
        return Err("masks contradict each other");
    }
    let mut children = [Child::Empty; 16];
    for (nibble, child) in children.iter_mut().enumerate() {
        if has(leaves, nibble) {
            *child = Child::Leaf { key: B256::ZERO, node: input.node()? };
        } else if has(branches, nibble) {
            *child = Child::Branch { extension: Nibbles::new(), node: input.node()? };
        }
    }
    let mut start = [0; 32];
    path.pack_to(&mut start);
    for (nibble, child) in children.iter_mut().enumerate() {
        match child {
            Child::Leaf { key, .. } => *key = input.rest_of_key(&start, path.len(), nibble as u8)?,
            Child::Branch { extension, .. } if has(extended, nibble) => {
                *extension = input.nibbles((KEY_NIBBLES - 2).saturating_sub(path.len()))?;
            }
            _ => {}
        }
    }
    input.end()?;
    Ok(children)
}

/// Reads the row at the empty path.
pub(crate) fn decode_root(row: &[u8]) -> Result<RootRow, Flaw> {
    let mut input = Input(row);
    let root = match input.byte()? {
        BRANCH => return Ok(RootRow::Branch),
        LEAF => RootRow::Leaf { key: input.hash()?, root: input.hash()? },
        EXTENSION => RootRow::Extension { path: input.nibbles(KEY_NIBBLES - 1)?, root: input.hash()? },
        _ => return Err("unknown kind of row"),
    };
    input.end()?;
    Ok(root)
}

fn has(mask: u16, nibble: usize) -> bool {
    mask & 1 << nibble != 0
}

fn encode_nibbles(nibbles: &Nibbles, out: &mut Vec<u8>) {
    out.push(nibbles.len() as u8);
    out.extend_from_slice(&nibbles.pack());
}

/// What is left of a row.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Flaw> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or("cut short")?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Flaw> {
        Ok(self.take(1)?[0])
    }

    fn mask(&mut self) -> Result<u16, Flaw> {
        Ok(u16::from_be_bytes([self.byte()?, self.byte()?]))
    }

    fn hash(&mut self) -> Result<B256, Flaw> {
        Ok(B256::from_slice(self.take(32)?))
    }

    fn node(&mut self) -> Result<NodeRef, Flaw> {
        NodeRef::split_off(&mut self.0).ok_or("not a node reference")
    }

    /// The key of the leaf at `nibble` of a branch whose path is `depth` nibbles of `start`.
    fn rest_of_key(&mut self, start: &[u8; 32], depth: usize, nibble: u8) -> Result<B256, Flaw> {
        let mut key = B256::from(*start);
        let rest = self.take(32 - depth.div_ceil(2))?;
        key[depth.div_ceil(2)..].copy_from_slice(rest);
        if depth % 2 == 1 {
            key[depth / 2] |= nibble;
        } else if key[depth / 2] >> 4 != nibble {
            return Err("a leaf's key contradicts its place");
        }
        Ok(key)
    }

    fn nibbles(&mut self, count_max: usize) -> Result<Nibbles, Flaw> {
        let count = usize::from(self.byte()?);
        if count == 0 || count > count_max {
            return Err("an extension of impossible length");
        }
        let packed = self.take(count.div_ceil(2))?;
        if count % 2 == 1 && packed[count / 2] & 0x0f != 0 {
            return Err("an extension is not padded with zero");
        }
        Ok(Nibbles::unpack(packed).slice_unchecked(0, count))
    }

    fn end(&self) -> Result<(), Flaw> {
        if self.0.is_empty() { Ok(()) } else { Err("bytes after its end") }
    }
}

#[cfg(test)]
mod tests;
