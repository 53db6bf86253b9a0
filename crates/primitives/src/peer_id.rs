//! The names of peers.

use alloy_primitives::{B256, B512, keccak256};
use secp256k1::PublicKey;

/// A peer's name on the wire: its secp256k1 public key, x then y, without the `04` in front.
///
/// Sixty-four bytes need not be a point of the curve; [`is_valid`] says so, and what computes with one checks.
pub type PeerId = B512;

/// Bytes that should be a public key name no point of the curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a public key of secp256k1")]
pub struct InvalidPeerId;

/// What discovery measures distances between: keccak of the public key.
pub fn node_id(peer: &PeerId) -> B256 {
    keccak256(peer)
}

/// Whether the name is a point of the curve.
pub fn is_valid(peer: &PeerId) -> bool {
    to_public_key(peer).is_ok()
}

/// The 33-byte form of the key that records and DNS lists carry.
pub fn compress(peer: &PeerId) -> [u8; 33] {
    let mut bytes = [0; 33];
    bytes[0] = 2 + (peer[63] & 1);
    bytes[1..].copy_from_slice(&peer[..32]);
    bytes
}

/// The name behind a 33-byte key.
pub fn decompress(bytes: &[u8; 33]) -> Result<PeerId, InvalidPeerId> {
    PublicKey::from_byte_array_compressed(*bytes).map(|key| from_public_key(&key)).map_err(|_| InvalidPeerId)
}

pub(crate) fn to_public_key(peer: &PeerId) -> Result<PublicKey, InvalidPeerId> {
    let mut bytes = [4; 65];
    bytes[1..].copy_from_slice(peer.as_slice());
    PublicKey::from_byte_array_uncompressed(bytes).map_err(|_| InvalidPeerId)
}

pub(crate) fn from_public_key(key: &PublicKey) -> PeerId {
    PeerId::from_slice(&key.serialize_uncompressed()[1..])
}
