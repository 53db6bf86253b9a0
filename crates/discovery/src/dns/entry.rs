//! The texts of a node list in DNS ([EIP-1459](https://eips.ethereum.org/EIPS/eip-1459)).
//!
//! ```text
//! enrtree-root:v1 e=HASH l=HASH seq=NUMBER sig=SIGNATURE     at the name of the list
//! enrtree-branch:HASH,HASH,…                                 at HASH.name: further down
//! enr:…                                                      at HASH.name: a node
//! enrtree://KEY@name                                         at HASH.name: another list
//! ```

use crate::{InvalidRecord, Record};
use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use starling_primitives::{PeerId, keccak256, peer_id, recover_peer};
use std::{fmt, str::FromStr};

/// Longest text of one entry, in bytes; the specification keeps them under 512 for one UDP answer.
pub const ENTRY_BYTES_MAX: usize = 2048;
/// Branches of one entry; the specification's 13 fit its 370 bytes.
const BRANCHES_MAX: usize = 32;
/// Shortest hash in a name, in bytes.
const HASH_BYTES_MIN: usize = 12;

/// Where a list is, and whose signature it must bear.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TreeUrl {
    /// Who signs it.
    pub signer: PeerId,
    /// The DNS name of its root, lower case.
    pub domain: String,
}

/// The signed top of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// Where the nodes begin.
    pub nodes: Hash,
    /// Where the links to other lists begin.
    pub links: Hash,
    /// Rises with every change.
    pub seq: u64,
}

/// What stands at a name below the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Further down.
    Branch(Vec<Hash>),
    /// A node.
    Node(Record),
    /// Another list.
    Link(TreeUrl),
}

/// The beginning of the keccak hash of an entry's text, in base32: the first label of its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(String);

/// An entry that is not to be believed. Its server or someone on the way is at fault; asking later may help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEntry {
    /// Not of the form above.
    #[error("not an entry of a node list")]
    Text,
    /// The list is signed by someone else.
    #[error("the node list is not signed by the key in its URL")]
    Signature,
    /// The text does not belong at its name.
    #[error("the entry does not have the hash in its name")]
    Hash,
    /// A node's record does not hold.
    #[error(transparent)]
    Record(#[from] InvalidRecord),
}

impl Root {
    /// Reads the root of a list and checks its signature.
    pub fn parse(text: &str, signer: &PeerId) -> Result<Self, InvalidEntry> {
        if text.len() > ENTRY_BYTES_MAX {
            return Err(InvalidEntry::Text);
        }
        let (signed, signature) = text.rsplit_once(" sig=").ok_or(InvalidEntry::Text)?;
        let root = Self::parse_signed(signed).ok_or(InvalidEntry::Text)?;
        let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).map_err(|_| InvalidEntry::Text)?;
        let signature = <&[u8; 65]>::try_from(signature.as_slice()).map_err(|_| InvalidEntry::Text)?;
        let recovered = recover_peer(&keccak256(signed), signature).map_err(|_| InvalidEntry::Signature)?;
        if recovered == *signer { Ok(root) } else { Err(InvalidEntry::Signature) }
    }

    fn parse_signed(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("enrtree-root:v1 ")?.split(' ');
        let nodes = parts.next()?.strip_prefix("e=")?.parse().ok()?;
        let links = parts.next()?.strip_prefix("l=")?.parse().ok()?;
        let seq = parts.next()?.strip_prefix("seq=")?.parse().ok()?;
        parts.next().is_none().then_some(Self { nodes, links, seq })
    }
}

impl Entry {
    /// Reads what stands at the name that begins with `hash`.
    pub fn parse(text: &str, hash: &Hash) -> Result<Self, InvalidEntry> {
        if !hash.is_of(text) {
            return Err(InvalidEntry::Hash);
        }
        if let Some(list) = text.strip_prefix("enrtree-branch:") {
            let branches: Vec<_> = list.split(',').filter(|hash| !hash.is_empty()).take(BRANCHES_MAX + 1).collect();
            if branches.len() > BRANCHES_MAX {
                return Err(InvalidEntry::Text);
            }
            return branches.into_iter().map(str::parse).collect::<Result<_, _>>().map(Self::Branch);
        }
        if text.starts_with("enr:") {
            return Ok(Self::Node(text.parse()?));
        }
        text.parse().map(Self::Link)
    }
}

impl Hash {
    /// Whether it is the hash of that text.
    pub fn is_of(&self, text: &str) -> bool {
        let Ok(bytes) = BASE32_NOPAD.decode(self.0.as_bytes()) else { return false };
        text.len() <= ENTRY_BYTES_MAX && keccak256(text).starts_with(&bytes)
    }
}

impl FromStr for Hash {
    type Err = InvalidEntry;

    fn from_str(text: &str) -> Result<Self, InvalidEntry> {
        let text = text.to_ascii_uppercase();
        let bytes = BASE32_NOPAD.decode(text.as_bytes()).map_err(|_| InvalidEntry::Text)?;
        (HASH_BYTES_MIN..=32).contains(&bytes.len()).then_some(Self(text)).ok_or(InvalidEntry::Text)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TreeUrl {
    type Err = InvalidEntry;

    fn from_str(text: &str) -> Result<Self, InvalidEntry> {
        let (key, domain) =
            text.trim().strip_prefix("enrtree://").and_then(|rest| rest.split_once('@')).ok_or(InvalidEntry::Text)?;
        let key = BASE32_NOPAD.decode(key.as_bytes()).map_err(|_| InvalidEntry::Text)?;
        let key = <&[u8; 33]>::try_from(key.as_slice()).map_err(|_| InvalidEntry::Text)?;
        let signer = peer_id::decompress(key).map_err(|_| InvalidEntry::Text)?;
        // A name is what an enode URL allows too; a list at an address makes no sense.
        match domain.parse() {
            Ok(crate::Host::Dns(domain)) => Ok(Self { signer, domain }),
            _ => Err(InvalidEntry::Text),
        }
    }
}

impl fmt::Display for TreeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "enrtree://{}@{}", BASE32_NOPAD.encode(&peer_id::compress(&self.signer)), self.domain)
    }
}
