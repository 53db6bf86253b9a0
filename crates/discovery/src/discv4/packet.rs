//! The packets of discv4 ([specification](https://github.com/ethereum/devp2p/blob/master/discv4.md)).
//!
//! ```text
//! keccak of the rest (32) │ signature of keccak(type ‖ data) (65) │ type (1) │ data: an RLP list │ ignored
//! ```
//!
//! What follows the known items of a list, what follows the list, and the version in a Ping are for later versions and
//! ignored (EIP-8). Of the endpoints that a sender states about itself only the TCP port is used: the address of a
//! node is where its packets come from.

use crate::{InvalidRecord, Record};
use alloy_rlp::{Decodable, EMPTY_STRING_CODE, Encodable, Header};
use starling_primitives::{B256, InvalidSignature, NodeKey, PeerId, keccak256, recover_peer};
use std::net::{IpAddr, SocketAddr};

/// Longest packet, in bytes; the smallest datagram that IPv6 carries whole.
pub const PACKET_BYTES_MAX: usize = 1280;
/// Nodes in one Neighbors packet: with IPv6 addresses, 13 would be 1292 bytes.
pub const NEIGHBORS_PER_PACKET: usize = 12;
/// Nodes read of one Neighbors packet; the rest is ignored. No packet of [`PACKET_BYTES_MAX`] holds more.
const NEIGHBORS_READ_MAX: usize = 16;

const HASH_BYTES: usize = 32;
const HEAD_BYTES: usize = HASH_BYTES + 65;
const VERSION: u64 = 4;

/// One packet. `expiration` is in seconds since 1970; after it the packet is void.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// Are you there?
    Ping {
        /// Where the sender thinks it is.
        from: Endpoint,
        /// Where the sender sends it.
        to: Endpoint,
        /// See [`Packet`].
        expiration: u64,
        /// The number of the sender's record (EIP-868).
        record_seq: Option<u64>,
    },
    /// I am.
    Pong {
        /// Where the Ping came from.
        to: Endpoint,
        /// Its hash.
        ping_hash: B256,
        /// See [`Packet`].
        expiration: u64,
        /// The number of the sender's record (EIP-868).
        record_seq: Option<u64>,
    },
    /// Whom do you know near this key?
    FindNode {
        /// Any 64 bytes.
        target: PeerId,
        /// See [`Packet`].
        expiration: u64,
    },
    /// These.
    Neighbors {
        /// At most [`NEIGHBORS_PER_PACKET`] when sent.
        nodes: Vec<Neighbor>,
        /// See [`Packet`].
        expiration: u64,
    },
    /// Your record, please (EIP-868).
    EnrRequest {
        /// See [`Packet`].
        expiration: u64,
    },
    /// Here (EIP-868).
    EnrResponse {
        /// The hash of the request.
        request_hash: B256,
        /// The sender's record.
        record: Record,
    },
}

/// An address in a packet. No address is written as an empty string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Endpoint {
    /// The address, if one is stated.
    pub ip: Option<IpAddr>,
    /// Discovery port.
    pub udp: u16,
    /// RLPx port.
    pub tcp: u16,
}

/// A node in a Neighbors packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neighbor {
    /// Where it is said to be.
    pub endpoint: Endpoint,
    /// Its public key.
    pub id: PeerId,
}

/// A packet whose hash and signature hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Who signed it.
    pub from: PeerId,
    /// Names it in an answer.
    pub hash: B256,
    /// What it says.
    pub packet: Packet,
}

/// Bytes are no packet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPacket {
    /// Too short or too long, or its hash is not that of its content: perhaps it is of another protocol.
    #[error("not a packet of discv4")]
    Foreign,
    /// Signed by no one.
    #[error(transparent)]
    Signature(#[from] InvalidSignature),
    /// A type that is not known.
    #[error("unknown packet type {0}")]
    Type(u8),
    /// The list does not have the items of its type.
    #[error("malformed packet: {0}")]
    Data(#[from] alloy_rlp::Error),
    /// The record in it does not hold.
    #[error(transparent)]
    Record(#[from] InvalidRecord),
}

impl Packet {
    /// Signs and packs it: the bytes, and the hash that an answer names.
    pub fn encode(&self, key: &NodeKey) -> (Vec<u8>, B256) {
        let mut bytes = vec![0; HEAD_BYTES];
        bytes.push(self.packet_type());
        self.encode_data(&mut bytes);
        let signature = key.sign_recoverable(&keccak256(&bytes[HEAD_BYTES..]));
        bytes[HASH_BYTES..HEAD_BYTES].copy_from_slice(&signature);
        let hash = keccak256(&bytes[HASH_BYTES..]);
        bytes[..HASH_BYTES].copy_from_slice(hash.as_slice());
        debug_assert!(bytes.len() <= PACKET_BYTES_MAX);
        (bytes, hash)
    }

    fn packet_type(&self) -> u8 {
        match self {
            Self::Ping { .. } => 1,
            Self::Pong { .. } => 2,
            Self::FindNode { .. } => 3,
            Self::Neighbors { .. } => 4,
            Self::EnrRequest { .. } => 5,
            Self::EnrResponse { .. } => 6,
        }
    }

    fn encode_data(&self, out: &mut Vec<u8>) {
        match self {
            Self::Ping { from, to, expiration, record_seq } => {
                encode_items(out, &[&VERSION, from, to, expiration], record_seq);
            }
            Self::Pong { to, ping_hash, expiration, record_seq } => {
                encode_items(out, &[to, ping_hash, expiration], record_seq);
            }
            Self::FindNode { target, expiration } => encode_items(out, &[target, expiration], &None),
            Self::Neighbors { nodes, expiration } => encode_items(out, &[nodes, expiration], &None),
            Self::EnrRequest { expiration } => encode_items(out, &[expiration], &None),
            Self::EnrResponse { request_hash, record } => {
                encode_items(out, &[request_hash, &RawItem(record.encode())], &None);
            }
        }
    }

    /// Unpacks a datagram and finds out who signed it.
    pub fn decode(bytes: &[u8]) -> Result<Received, InvalidPacket> {
        if bytes.len() > PACKET_BYTES_MAX {
            return Err(InvalidPacket::Foreign);
        }
        let (hash, rest) = bytes.split_first_chunk::<HASH_BYTES>().ok_or(InvalidPacket::Foreign)?;
        let (signature, signed) = rest.split_first_chunk::<65>().ok_or(InvalidPacket::Foreign)?;
        let (packet_type, data) = signed.split_first().ok_or(InvalidPacket::Foreign)?;
        if keccak256(rest) != *hash {
            return Err(InvalidPacket::Foreign);
        }
        let from = recover_peer(&keccak256(signed), signature)?;
        Ok(Received { from, hash: hash.into(), packet: Self::decode_data(*packet_type, data)? })
    }

    fn decode_data(packet_type: u8, mut data: &[u8]) -> Result<Self, InvalidPacket> {
        let mut items = Header::decode_bytes(&mut data, true)?;
        let items = &mut items;
        Ok(match packet_type {
            1 => {
                // the version, whatever it is
                skip(items)?;
                let (from, to) = (Endpoint::decode(items)?, Endpoint::decode(items)?);
                Self::Ping { from, to, expiration: u64::decode(items)?, record_seq: u64::decode(items).ok() }
            }
            2 => Self::Pong {
                to: Endpoint::decode(items)?,
                ping_hash: B256::decode(items)?,
                expiration: u64::decode(items)?,
                record_seq: u64::decode(items).ok(),
            },
            3 => Self::FindNode { target: PeerId::decode(items)?, expiration: u64::decode(items)? },
            4 => {
                let mut list = Header::decode_bytes(items, true)?;
                let mut nodes = Vec::new();
                while !list.is_empty() && nodes.len() < NEIGHBORS_READ_MAX {
                    nodes.push(Neighbor::decode(&mut list)?);
                }
                Self::Neighbors { nodes, expiration: u64::decode(items)? }
            }
            5 => Self::EnrRequest { expiration: u64::decode(items)? },
            6 => {
                let request_hash = B256::decode(items)?;
                let whole = *items;
                skip(items)?;
                let record = Record::decode(&whole[..whole.len() - items.len()])?;
                Self::EnrResponse { request_hash, record }
            }
            other => return Err(InvalidPacket::Type(other)),
        })
    }

    /// When it becomes void; a record holds forever.
    pub fn expiration(&self) -> Option<u64> {
        match self {
            Self::Ping { expiration, .. }
            | Self::Pong { expiration, .. }
            | Self::FindNode { expiration, .. }
            | Self::Neighbors { expiration, .. }
            | Self::EnrRequest { expiration } => Some(*expiration),
            Self::EnrResponse { .. } => None,
        }
    }
}

fn skip(items: &mut &[u8]) -> alloy_rlp::Result<()> {
    let length = Header::decode(items)?.payload_length;
    *items = items.get(length..).ok_or(alloy_rlp::Error::InputTooShort)?;
    Ok(())
}

fn encode_items(out: &mut Vec<u8>, items: &[&dyn Encodable], last: &Option<u64>) {
    let payload_length = items.iter().map(|item| item.length()).sum::<usize>() + last.map_or(0, |item| item.length());
    Header { list: true, payload_length }.encode(out);
    items.iter().for_each(|item| item.encode(out));
    last.inspect(|item| item.encode(out));
}

struct RawItem(Vec<u8>);

impl Encodable for RawItem {
    fn encode(&self, out: &mut dyn alloy_rlp::BufMut) {
        out.put_slice(&self.0);
    }

    fn length(&self) -> usize {
        self.0.len()
    }
}

impl Endpoint {
    /// An address and its UDP port.
    pub fn new(udp: SocketAddr, tcp: u16) -> Self {
        Self { ip: Some(udp.ip().to_canonical()), udp: udp.port(), tcp }
    }

    /// Where its UDP is.
    pub fn udp_addr(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.ip?, self.udp))
    }

    fn items_length(&self) -> usize {
        self.ip.map_or(1, |ip| ip.length()) + self.udp.length() + self.tcp.length()
    }

    fn encode_items(&self, out: &mut dyn alloy_rlp::BufMut) {
        match self.ip {
            Some(ip) => ip.encode(out),
            None => out.put_u8(EMPTY_STRING_CODE),
        }
        self.udp.encode(out);
        self.tcp.encode(out);
    }

    fn decode_items(items: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let ip = Header::decode_bytes(items, false)?;
        let ip = match ip.len() {
            0 => None,
            4 => <[u8; 4]>::try_from(ip).ok().map(IpAddr::from),
            16 => <[u8; 16]>::try_from(ip).ok().map(IpAddr::from),
            _ => return Err(alloy_rlp::Error::Custom("an address has 0, 4 or 16 bytes")),
        };
        Ok(Self { ip: ip.map(|ip| ip.to_canonical()), udp: u16::decode(items)?, tcp: u16::decode(items)? })
    }
}

impl Encodable for Endpoint {
    fn encode(&self, out: &mut dyn alloy_rlp::BufMut) {
        Header { list: true, payload_length: self.items_length() }.encode(out);
        self.encode_items(out);
    }

    fn length(&self) -> usize {
        self.items_length() + alloy_rlp::length_of_length(self.items_length())
    }
}

impl Decodable for Endpoint {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        Self::decode_items(&mut Header::decode_bytes(buf, true)?)
    }
}

impl Encodable for Neighbor {
    fn encode(&self, out: &mut dyn alloy_rlp::BufMut) {
        Header { list: true, payload_length: self.endpoint.items_length() + self.id.length() }.encode(out);
        self.endpoint.encode_items(out);
        self.id.encode(out);
    }

    fn length(&self) -> usize {
        let payload = self.endpoint.items_length() + self.id.length();
        payload + alloy_rlp::length_of_length(payload)
    }
}

impl Decodable for Neighbor {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let mut items = Header::decode_bytes(buf, true)?;
        Ok(Self { endpoint: Endpoint::decode_items(&mut items)?, id: PeerId::decode(&mut items)? })
    }
}
