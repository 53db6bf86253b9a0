//! Node records ([EIP-778](https://eips.ethereum.org/EIPS/eip-778)): what a node says about itself, signed.
//!
//! Records are read and checked by the `enr` crate. This file holds what it leaves open: that a record ends where it
//! should, what a missing `udp6` or `tcp6` means, the entries of the execution layer, and how ours is signed.
//!
//! A node that gives `ip6` but no `udp6` means that `udp` holds for both; so it is read. Written is always the explicit
//! form, because half the world does not read the other one.

use alloy_rlp::{Decodable, Encodable, Header};
use data_encoding::BASE64URL_NOPAD;
use enr::{Enr, EnrPublicKey, k256::ecdsa::SigningKey};
use starling_chainspec::ForkId;
use starling_primitives::{B256, NodeKey, PeerId, keccak256, peer_id};
use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6},
    str::FromStr,
    sync::Arc,
};

/// Longest record, in bytes of RLP (EIP-778).
pub const RECORD_BYTES_MAX: usize = 300;

const FORK_ENTRY: &str = "eth";
const SNAP_ENTRY: &str = "snap";
const CONSENSUS_ENTRY: &str = "eth2";

/// A record whose signature holds. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Record(Arc<Enr<SigningKey>>);

/// What a node announces about itself; [`Record::sign`] makes the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecordContent {
    /// Rises with every change. The first is the milliseconds since 1970, so that a lost database never lets it fall.
    pub seq: u64,
    /// The address of the IPv4 ports below.
    pub ip4: Option<Ipv4Addr>,
    /// Discovery over IPv4.
    pub udp4: Option<u16>,
    /// RLPx over IPv4.
    pub tcp4: Option<u16>,
    /// The address of the IPv6 ports below.
    pub ip6: Option<Ipv6Addr>,
    /// Discovery over IPv6.
    pub udp6: Option<u16>,
    /// RLPx over IPv6.
    pub tcp6: Option<u16>,
    /// The chain it follows; a boot node follows none.
    pub fork_id: Option<ForkId>,
    /// Whether it serves the snap protocol.
    pub snap: bool,
}

/// Bytes or text are no valid record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRecord {
    /// More than [`RECORD_BYTES_MAX`].
    #[error("the record is longer than {RECORD_BYTES_MAX} bytes")]
    TooLong,
    /// Not `enr:` and URL-safe base64.
    #[error("a record is written as enr: and URL-safe base64 without padding")]
    Text,
    /// Not the RLP of a record, or a signature that does not hold.
    #[error("not a node record: {0}")]
    Content(alloy_rlp::Error),
}

impl Record {
    /// Reads a record and checks its signature.
    pub fn decode(mut bytes: &[u8]) -> Result<Self, InvalidRecord> {
        if bytes.len() > RECORD_BYTES_MAX {
            return Err(InvalidRecord::TooLong);
        }
        let record = Enr::<SigningKey>::decode(&mut bytes).map_err(InvalidRecord::Content)?;
        if !bytes.is_empty() {
            return Err(InvalidRecord::Content(alloy_rlp::Error::UnexpectedLength));
        }
        // The crate takes the 65-byte form of the key too, which no other implementation does.
        if !matches!(record.get_decodable::<[u8; 33]>("secp256k1"), Some(Ok(_))) {
            return Err(InvalidRecord::Content(alloy_rlp::Error::Custom("the key is not 33 bytes")));
        }
        Ok(Self(Arc::new(record)))
    }

    /// Signs what a node says about itself; the same content gives the same record. All entries together fit.
    ///
    /// The `enr` crate would sign with randomness of its own, so here the bytes are made and given to it to read.
    pub fn sign(key: &NodeKey, content: &RecordContent) -> Self {
        let mut items = Vec::with_capacity(RECORD_BYTES_MAX);
        content.encode_items(&key.public(), &mut items);
        let mut signed = Vec::with_capacity(RECORD_BYTES_MAX);
        encode_list(&items, &mut signed);
        let signature = key.sign_recoverable(&keccak256(signed));

        let mut signed_items = Vec::with_capacity(RECORD_BYTES_MAX);
        signature[..64].encode(&mut signed_items);
        signed_items.extend(items);
        let mut record = Vec::with_capacity(RECORD_BYTES_MAX);
        encode_list(&signed_items, &mut record);
        Self::decode(&record).expect("what was just signed is a record")
    }

    /// The bytes on the wire.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(RECORD_BYTES_MAX);
        self.0.encode(&mut bytes);
        bytes
    }

    /// Which of two records of one node is newer: the one with the greater number.
    pub fn seq(&self) -> u64 {
        self.0.seq()
    }

    /// Whose record it is.
    pub fn id(&self) -> PeerId {
        PeerId::from(self.0.public_key().encode_uncompressed())
    }

    /// keccak of the public key.
    pub fn node_id(&self) -> B256 {
        self.0.node_id().raw().into()
    }

    /// Discovery over IPv4.
    pub fn udp4(&self) -> Option<SocketAddrV4> {
        self.0.udp4_socket()
    }

    /// RLPx over IPv4.
    pub fn tcp4(&self) -> Option<SocketAddrV4> {
        self.0.tcp4_socket()
    }

    /// Discovery over IPv6, on the IPv4 port if no other is given.
    pub fn udp6(&self) -> Option<SocketAddrV6> {
        Some(SocketAddrV6::new(self.0.ip6()?, self.0.udp6().or_else(|| self.0.udp4())?, 0, 0))
    }

    /// RLPx over IPv6, on the IPv4 port if no other is given.
    pub fn tcp6(&self) -> Option<SocketAddrV6> {
        Some(SocketAddrV6::new(self.0.ip6()?, self.0.tcp6().or_else(|| self.0.tcp4())?, 0, 0))
    }

    /// The chain it follows, if it says so and is understood. What follows the first item of the list is for later
    /// versions and ignored.
    pub fn fork_id(&self) -> Option<ForkId> {
        let mut value = self.0.get_raw_rlp(FORK_ENTRY)?;
        let mut list = Header::decode_bytes(&mut value, true).ok()?;
        ForkId::decode(&mut list).ok()
    }

    /// Whether it says that it serves the snap protocol.
    pub fn serves_snap(&self) -> bool {
        self.0.get_raw_rlp(SNAP_ENTRY).is_some()
    }

    /// Whether it belongs to the consensus layer, which shares discv5's table and speaks no RLPx.
    pub fn is_consensus(&self) -> bool {
        self.0.get_raw_rlp(CONSENSUS_ENTRY).is_some()
    }

    /// The keys of all entries, in order.
    pub fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|(key, _)| key.as_slice())
    }
}

impl RecordContent {
    /// The number, then the entries in the order of their keys.
    fn encode_items(&self, id: &PeerId, out: &mut Vec<u8>) {
        self.seq.encode(out);
        // A list around the fork id, so that more can follow in it (EIP-2124).
        encode_entry(FORK_ENTRY, self.fork_id.map(|fork_id| vec![fork_id]), out);
        encode_entry("id", Some("v4"), out);
        encode_entry("ip", self.ip4, out);
        encode_entry("ip6", self.ip6, out);
        encode_entry("secp256k1", Some(peer_id::compress(id)), out);
        encode_entry(SNAP_ENTRY, self.snap.then(Vec::<u64>::new), out);
        encode_entry("tcp", self.tcp4, out);
        encode_entry("tcp6", self.tcp6, out);
        encode_entry("udp", self.udp4, out);
        encode_entry("udp6", self.udp6, out);
    }
}

fn encode_entry(key: &str, value: Option<impl Encodable>, out: &mut Vec<u8>) {
    if let Some(value) = value {
        key.encode(out);
        value.encode(out);
    }
}

fn encode_list(items: &[u8], out: &mut Vec<u8>) {
    Header { list: true, payload_length: items.len() }.encode(out);
    out.extend_from_slice(items);
}

impl FromStr for Record {
    type Err = InvalidRecord;

    fn from_str(text: &str) -> Result<Self, InvalidRecord> {
        let text = text.trim().strip_prefix("enr:").ok_or(InvalidRecord::Text)?;
        if text.len() > BASE64URL_NOPAD.encode_len(RECORD_BYTES_MAX) {
            return Err(InvalidRecord::TooLong);
        }
        Self::decode(&BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| InvalidRecord::Text)?)
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "enr:{}", BASE64URL_NOPAD.encode(&self.encode()))
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
