//! Nodes in their RLP form, and the references by which parents name them.

use crate::row::{Child, Children};
use alloy_rlp::{EMPTY_STRING_CODE, Encodable, Header};
use starling_primitives::{B256, Nibbles, keccak256};

/// Nibbles in a key.
pub(crate) const KEY_NIBBLES: usize = 64;
/// First byte of a reference that is a hash: the RLP head of a 32-byte string.
const HASH_HEAD: u8 = EMPTY_STRING_CODE + 32;
/// First byte of an empty RLP list.
const LIST_HEAD: u8 = 0xc0;
/// Bytes of the longest node that stands in its parent itself, instead of its hash.
const INLINE_BYTES_MAX: usize = 31;

/// How a parent names a child: the child's hash, or the child itself if its RLP is shorter than 32 bytes.
/// Kept as the RLP item that stands in the parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NodeRef {
    /// The item, then zeros. The first byte tells its length.
    item: [u8; 33],
}

impl NodeRef {
    /// The reference to a node with this RLP.
    pub(crate) fn of(rlp: &[u8]) -> Self {
        let mut item = [0; 33];
        if rlp.len() <= INLINE_BYTES_MAX {
            item[..rlp.len()].copy_from_slice(rlp);
        } else {
            item[0] = HASH_HEAD;
            item[1..].copy_from_slice(keccak256(rlp).as_slice());
        }
        Self { item }
    }

    /// Cuts a reference off the front of `bytes`; none if there is none.
    #[inline]
    pub(crate) fn split_off(bytes: &mut &[u8]) -> Option<Self> {
        if let Some((item, rest)) = bytes.split_first_chunk()
            && item[0] == HASH_HEAD
        {
            *bytes = rest;
            return Some(Self { item: *item });
        }
        let length = item_length(*bytes.first()?)?;
        let (found, rest) = bytes.split_at_checked(length)?;
        *bytes = rest;
        let mut item = [0; 33];
        item[..length].copy_from_slice(found);
        Some(Self { item })
    }

    /// Appends the RLP item.
    #[inline]
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        // Nearly all are hashes, and copying a known number of bytes is much cheaper.
        if self.is_hash() {
            out.extend_from_slice(&self.item);
        } else {
            out.extend_from_slice(self.as_slice());
        }
    }

    /// The RLP item.
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.item[..item_length(self.item[0]).unwrap_or_default()]
    }

    /// Whether the node is named by its hash, so that a proof lists it by itself.
    pub(crate) fn is_hash(&self) -> bool {
        self.item[0] == HASH_HEAD
    }

    /// The node's hash, as it counts when the node is the root.
    pub(crate) fn root_hash(&self) -> B256 {
        if self.is_hash() { B256::from_slice(&self.item[1..]) } else { keccak256(self.as_slice()) }
    }
}

/// Length of the reference that begins with this byte.
fn item_length(first: u8) -> Option<usize> {
    match first {
        HASH_HEAD => Some(33),
        LIST_HEAD.. if usize::from(first - LIST_HEAD) < INLINE_BYTES_MAX => Some(usize::from(first - LIST_HEAD) + 1),
        _ => None,
    }
}

/// A leaf that stands `depth` nibbles below the root; `value` is the RLP of what it holds.
pub(crate) fn encode_leaf(key: &B256, depth: usize, value: &[u8], out: &mut Vec<u8>) {
    // The rest of a key ends where the key ends, so its bytes are the key's own.
    let mut path = [0; 33];
    let rest = &key[depth.div_ceil(2)..];
    path[0] = if depth.is_multiple_of(2) { 0x20 } else { 0x30 | (key[depth / 2] & 0x0f) };
    path[1..=rest.len()].copy_from_slice(rest);
    let path = &path[..=rest.len()];
    Header { list: true, payload_length: path.length() + value.length() }.encode(out);
    path.encode(out);
    value.encode(out);
}

/// An extension by `nibbles`, at least one, to a branch.
pub(crate) fn encode_extension(nibbles: &Nibbles, branch: &NodeRef, out: &mut Vec<u8>) {
    let odd = nibbles.len() % 2;
    let mut path = [0; 33];
    if odd == 1 {
        path[0] = 0x10 | nibbles.get_unchecked(0);
    }
    let rest = nibbles.slice_unchecked(odd, nibbles.len());
    rest.pack_to(&mut path[1..]);
    let path = &path[..=rest.byte_len()];
    Header { list: true, payload_length: path.length() + branch.as_slice().len() }.encode(out);
    path.encode(out);
    branch.put(out);
}

/// A branch. Keys are all of one length, so it never holds a value.
pub(crate) fn encode_branch(children: &Children, out: &mut Vec<u8>) {
    let length = |child: &Child| child.node().map_or(1, |node| node.as_slice().len());
    let payload_length = children.iter().map(length).sum::<usize>() + 1;
    Header { list: true, payload_length }.encode(out);
    for child in children {
        match child.node() {
            Some(node) => node.put(out),
            None => out.push(EMPTY_STRING_CODE),
        }
    }
    out.push(EMPTY_STRING_CODE);
}
