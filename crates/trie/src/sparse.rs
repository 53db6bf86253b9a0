//! A trie of which only some nodes are known, as a witness brings them: enough to read and change a part of
//! a big trie and to hash it again.
//!
//! A subtree that nobody looked into is its hash. It is replaced by the node behind that hash when a key
//! leads there, or when a branch loses all children but one and the last has to say what it is. If that
//! node is not in the set, the answer is [`SparseError::Missing`], never a wrong root.
//!
//! Unlike the rows of the state's own tries this one takes keys of any length up to 32 bytes and any
//! values, also a value at a branch, where one key begins another.

use crate::node::NodeRef;
use alloy_primitives::map::B256Map;
use alloy_rlp::{EMPTY_STRING_CODE, Encodable, Header, PayloadView};
use starling_primitives::{B256, Bytes, EMPTY_ROOT_HASH, Nibbles, keccak256};
use std::mem;

/// Bytes of the longest key.
pub const SPARSE_KEY_BYTES_MAX: usize = 32;

/// First byte of a node's path: whether it is a leaf's, whether its length is odd.
const LEAF_FLAG: u8 = 0x20;
const ODD_FLAG: u8 = 0x10;

/// A partial trie cannot be read or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SparseError {
    /// The way leads through a node that is not known.
    #[error("node {0} is not known")]
    Missing(B256),
    /// Bytes that are no node.
    #[error("damaged node: {0}")]
    Malformed(&'static str),
    /// The key is longer than [`SPARSE_KEY_BYTES_MAX`].
    #[error("a key of {0} bytes is too long")]
    Key(usize),
}

/// Nodes by their hash.
#[derive(Debug, Clone, Default)]
pub struct NodeSet(B256Map<Bytes>);

impl NodeSet {
    /// Hashes nodes, given in any order as their RLP.
    pub fn new(nodes: impl IntoIterator<Item = Bytes>) -> Self {
        Self(nodes.into_iter().map(|node| (keccak256(&node), node)).collect())
    }

    /// Whether a node of that hash is known.
    pub fn contains(&self, hash: &B256) -> bool {
        self.0.contains_key(hash)
    }

    fn node(&self, hash: &B256) -> Result<Node, SparseError> {
        Node::decode(self.0.get(hash).ok_or(SparseError::Missing(*hash))?)
    }
}

/// A trie over a set of known nodes.
#[derive(Debug)]
pub struct SparseTrie<'n> {
    nodes: &'n NodeSet,
    root: Node,
}

#[derive(Debug, Clone, Default)]
enum Node {
    #[default]
    Empty,
    /// Not looked into.
    Hash(B256),
    Leaf {
        path: Nibbles,
        value: Bytes,
    },
    /// Its child is a branch, known or not.
    Extension {
        path: Nibbles,
        child: Box<Node>,
    },
    Branch {
        children: Box<[Node; 16]>,
        value: Option<Bytes>,
    },
}

impl<'n> SparseTrie<'n> {
    /// The trie with that root; its nodes are looked up when they are needed.
    pub fn new(nodes: &'n NodeSet, root: B256) -> Self {
        Self { nodes, root: if root == EMPTY_ROOT_HASH { Node::Empty } else { Node::Hash(root) } }
    }

    /// What a key holds.
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>, SparseError> {
        self.nodes.get(&self.root, nibbles(key)?)
    }

    /// Sets what a key holds, not empty. After an error the trie is spoilt.
    pub fn put(&mut self, key: &[u8], value: Bytes) -> Result<(), SparseError> {
        let key = nibbles(key)?;
        self.root = self.nodes.put(mem::take(&mut self.root), key, value)?;
        Ok(())
    }

    /// Takes a key out; none of that name is no error. After an error the trie is spoilt.
    pub fn remove(&mut self, key: &[u8]) -> Result<(), SparseError> {
        let key = nibbles(key)?;
        self.root = self.nodes.remove(mem::take(&mut self.root), key)?;
        Ok(())
    }

    /// The root hash.
    pub fn root(&self) -> B256 {
        match &self.root {
            Node::Empty => EMPTY_ROOT_HASH,
            Node::Hash(hash) => *hash,
            node => keccak256(node.rlp()),
        }
    }

    /// All keys, as nibbles, with what they hold, in the keys' order.
    pub fn entries(&self) -> Result<Vec<(Nibbles, Bytes)>, SparseError> {
        let mut entries = Vec::new();
        self.nodes.entries(&self.root, Nibbles::new(), &mut entries)?;
        Ok(entries)
    }
}

impl NodeSet {
    fn get(&self, node: &Node, key: Nibbles) -> Result<Option<Bytes>, SparseError> {
        match node {
            Node::Empty => Ok(None),
            Node::Hash(hash) => self.get(&self.node(hash)?, key),
            Node::Leaf { path, value } => Ok((*path == key).then(|| value.clone())),
            Node::Extension { path, child } if key.starts_with(path) => self.get(child, after(&key, path.len())),
            Node::Extension { .. } => Ok(None),
            Node::Branch { children, value } => match key.first() {
                None => Ok(value.clone()),
                Some(nibble) => self.get(&children[usize::from(nibble)], after(&key, 1)),
            },
        }
    }

    fn put(&self, node: Node, key: Nibbles, value: Bytes) -> Result<Node, SparseError> {
        Ok(match node {
            Node::Empty => Node::Leaf { path: key, value },
            Node::Hash(hash) => self.put(self.node(&hash)?, key, value)?,
            Node::Leaf { path, .. } if path == key => Node::Leaf { path, value },
            Node::Leaf { path, value: old } => {
                let shared = path.common_prefix_length(&key);
                let mut branch = Fork::default();
                branch.add(after(&path, shared), |path| Node::Leaf { path, value: old.clone() }, &old);
                branch.add(after(&key, shared), |path| Node::Leaf { path, value: value.clone() }, &value);
                branch.behind(key.slice_unchecked(0, shared))
            }
            Node::Extension { path, child } if key.starts_with(&path) => {
                Node::Extension { child: Box::new(self.put(*child, after(&key, path.len()), value)?), path }
            }
            Node::Extension { path, child } => {
                let shared = path.common_prefix_length(&key);
                let mut branch = Fork::default();
                let nibble = path.get_unchecked(shared);
                branch.children[usize::from(nibble)] = extended(after(&path, shared + 1), *child);
                branch.add(after(&key, shared), |path| Node::Leaf { path, value: value.clone() }, &value);
                branch.behind(key.slice_unchecked(0, shared))
            }
            Node::Branch { mut children, value: old } => match key.first() {
                None => Node::Branch { children, value: Some(value) },
                Some(nibble) => {
                    let child = &mut children[usize::from(nibble)];
                    *child = self.put(mem::take(child), after(&key, 1), value)?;
                    Node::Branch { children, value: old }
                }
            },
        })
    }

    fn remove(&self, node: Node, key: Nibbles) -> Result<Node, SparseError> {
        Ok(match node {
            Node::Empty => Node::Empty,
            Node::Hash(hash) => self.remove(self.node(&hash)?, key)?,
            Node::Leaf { path, .. } if path == key => Node::Empty,
            Node::Extension { path, child } if key.starts_with(&path) => {
                let child = self.remove(*child, after(&key, path.len()))?;
                self.joined(path, child)?
            }
            Node::Leaf { .. } | Node::Extension { .. } => node,
            Node::Branch { mut children, value } => match key.first() {
                None => self.narrowed(children, None)?,
                Some(nibble) => {
                    let child = &mut children[usize::from(nibble)];
                    *child = self.remove(mem::take(child), after(&key, 1))?;
                    self.narrowed(children, value)?
                }
            },
        })
    }

    /// A branch, or what is left of it if that is one thing.
    fn narrowed(&self, mut children: Box<[Node; 16]>, value: Option<Bytes>) -> Result<Node, SparseError> {
        let mut left = (0..).zip(children.iter_mut()).filter(|(_, child)| !matches!(child, Node::Empty));
        match (left.next(), left.next(), value) {
            (None, _, None) => Ok(Node::Empty),
            (None, _, Some(value)) => Ok(Node::Leaf { path: Nibbles::new(), value }),
            (Some((nibble, child)), None, None) => {
                self.joined(Nibbles::from_nibbles_unchecked([nibble]), mem::take(child))
            }
            (_, _, value) => Ok(Node::Branch { children, value }),
        }
    }

    /// A node behind more nibbles. Unlike [`extended`] it may not be a branch, so it must be known.
    fn joined(&self, before: Nibbles, node: Node) -> Result<Node, SparseError> {
        Ok(match node {
            Node::Hash(hash) => match self.node(&hash)? {
                Node::Branch { .. } => extended(before, Node::Hash(hash)),
                other => self.joined(before, other)?,
            },
            Node::Empty => Node::Empty,
            Node::Leaf { path, value } => Node::Leaf { path: join(&before, &path)?, value },
            Node::Extension { path, child } => Node::Extension { path: join(&before, &path)?, child },
            branch => extended(before, branch),
        })
    }

    fn entries(&self, node: &Node, key: Nibbles, out: &mut Vec<(Nibbles, Bytes)>) -> Result<(), SparseError> {
        match node {
            Node::Empty => {}
            Node::Hash(hash) => self.entries(&self.node(hash)?, key, out)?,
            Node::Leaf { path, value } => out.push((join(&key, path)?, value.clone())),
            Node::Extension { path, child } => self.entries(child, join(&key, path)?, out)?,
            Node::Branch { children, value } => {
                out.extend(value.iter().map(|value| (key, value.clone())));
                for (nibble, child) in (0..).zip(children.iter()) {
                    if !matches!(child, Node::Empty) {
                        self.entries(child, join(&key, &Nibbles::from_nibbles_unchecked([nibble]))?, out)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// A branch in the making, where two ways part.
#[derive(Default)]
struct Fork {
    children: Box<[Node; 16]>,
    value: Option<Bytes>,
}

impl Fork {
    /// Adds what stands `rest` below: a child, or the branch's own value if nothing is left of the way.
    fn add(&mut self, rest: Nibbles, child: impl FnOnce(Nibbles) -> Node, value: &Bytes) {
        match rest.first() {
            None => self.value = Some(value.clone()),
            Some(nibble) => self.children[usize::from(nibble)] = child(after(&rest, 1)),
        }
    }

    fn behind(self, before: Nibbles) -> Node {
        extended(before, Node::Branch { children: self.children, value: self.value })
    }
}

/// A branch behind an extension, if there is anything to extend by.
fn extended(path: Nibbles, branch: Node) -> Node {
    if path.is_empty() { branch } else { Node::Extension { path, child: Box::new(branch) } }
}

/// What is left of a way after so many nibbles.
fn after(path: &Nibbles, count: usize) -> Nibbles {
    path.slice_unchecked(count, path.len())
}

/// Two ways one after the other; foreign nodes could make them longer than any key.
fn join(first: &Nibbles, second: &Nibbles) -> Result<Nibbles, SparseError> {
    if first.len() + second.len() > 2 * SPARSE_KEY_BYTES_MAX {
        return Err(SparseError::Malformed("paths longer than a key"));
    }
    Ok(first.join(second))
}

fn nibbles(key: &[u8]) -> Result<Nibbles, SparseError> {
    if key.len() > SPARSE_KEY_BYTES_MAX { Err(SparseError::Key(key.len())) } else { Ok(Nibbles::unpack(key)) }
}

impl Node {
    /// Reads a node that stands for itself.
    fn decode(rlp: &[u8]) -> Result<Self, SparseError> {
        let mut rest = rlp;
        let node = Self::decode_list(&mut rest)?;
        if rest.is_empty() { Ok(node) } else { Err(SparseError::Malformed("bytes after its end")) }
    }

    fn decode_list(rlp: &mut &[u8]) -> Result<Self, SparseError> {
        let PayloadView::List(items) = Header::decode_raw(rlp).map_err(|_| SparseError::Malformed("not RLP"))? else {
            return Err(SparseError::Malformed("not a list"));
        };
        match items.as_slice() {
            [path, item] => {
                let (path, leaf) = decode_path(string(path)?)?;
                match leaf {
                    true => Ok(Self::Leaf { path, value: Bytes::copy_from_slice(string(item)?) }),
                    false if path.is_empty() => Err(SparseError::Malformed("an empty extension")),
                    false => match Self::decode_child(item)? {
                        Self::Empty => Err(SparseError::Malformed("an extension to nothing")),
                        child => Ok(Self::Extension { path, child: Box::new(child) }),
                    },
                }
            }
            [items @ .., value] if items.len() == 16 => {
                let mut children = Box::<[Self; 16]>::default();
                for (child, item) in children.iter_mut().zip(items) {
                    *child = Self::decode_child(item)?;
                }
                let value = string(value)?;
                Ok(Self::Branch { children, value: (!value.is_empty()).then(|| Bytes::copy_from_slice(value)) })
            }
            _ => Err(SparseError::Malformed("neither 2 nor 17 items")),
        }
    }

    /// Reads a child as it stands in its parent: nothing, a hash, or a node of less than 32 bytes.
    fn decode_child(item: &[u8]) -> Result<Self, SparseError> {
        if item.first().is_some_and(|first| *first >= alloy_rlp::EMPTY_LIST_CODE) {
            return if item.len() < 32 { Self::decode(item) } else { Err(SparseError::Malformed("a long child")) };
        }
        match string(item)? {
            [] => Ok(Self::Empty),
            hash => B256::try_from(hash).map(Self::Hash).map_err(|_| SparseError::Malformed("not a hash")),
        }
    }

    /// The node's RLP. An empty node, or one that was not looked into, has none of its own.
    fn rlp(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        match self {
            Self::Empty | Self::Hash(_) => return self.item(),
            Self::Leaf { path, value } => {
                hex_prefix(path, true).as_slice().encode(&mut payload);
                value.encode(&mut payload);
            }
            Self::Extension { path, child } => {
                hex_prefix(path, false).as_slice().encode(&mut payload);
                payload.extend_from_slice(&child.item());
            }
            Self::Branch { children, value } => {
                for child in children.iter() {
                    payload.extend_from_slice(&child.item());
                }
                value.as_ref().map_or(&[][..], |value| value).encode(&mut payload);
            }
        }
        let mut rlp = Vec::with_capacity(payload.len() + 3);
        Header { list: true, payload_length: payload.len() }.encode(&mut rlp);
        rlp.extend_from_slice(&payload);
        rlp
    }

    /// The RLP item by which a parent names the node.
    fn item(&self) -> Vec<u8> {
        match self {
            Self::Empty => vec![EMPTY_STRING_CODE],
            Self::Hash(hash) => alloy_rlp::encode(hash),
            node => NodeRef::of(&node.rlp()).as_slice().to_vec(),
        }
    }
}

/// A path of nibbles as bytes, with two flags in front: whether it is a leaf's, whether its length is odd
/// (appendix C of the yellow paper).
pub fn hex_prefix(path: &Nibbles, leaf: bool) -> Vec<u8> {
    let odd = path.len() % 2;
    let mut first = if leaf { LEAF_FLAG } else { 0 };
    if odd == 1 {
        first |= ODD_FLAG | path.get_unchecked(0);
    }
    let mut bytes = vec![first];
    bytes.extend_from_slice(&after(path, odd).pack());
    bytes
}

/// The other way round; whether the path is a leaf's.
fn decode_path(bytes: &[u8]) -> Result<(Nibbles, bool), SparseError> {
    let Some((first, rest)) = bytes.split_first() else { return Err(SparseError::Malformed("an empty path")) };
    let odd = first & ODD_FLAG != 0;
    if first & !(LEAF_FLAG | ODD_FLAG | 0x0f) != 0 || (!odd && first & 0x0f != 0) {
        return Err(SparseError::Malformed("a path with unknown flags"));
    }
    if rest.len() + usize::from(odd) > SPARSE_KEY_BYTES_MAX {
        return Err(SparseError::Malformed("a path longer than a key"));
    }
    let rest = Nibbles::unpack(rest);
    let path = if odd { Nibbles::from_nibbles_unchecked([first & 0x0f]).join(&rest) } else { rest };
    Ok((path, first & LEAF_FLAG != 0))
}

/// The payload of an item that must be a string.
fn string(item: &[u8]) -> Result<&[u8], SparseError> {
    let mut rest = item;
    Header::decode_bytes(&mut rest, false).map_err(|_| SparseError::Malformed("not a string"))
}
