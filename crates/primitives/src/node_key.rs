//! The one secret of a node: who it is on the wire.

use crate::peer_id::{self, InvalidPeerId, PeerId};
use alloy_primitives::{B256, hex};
use rand::CryptoRng;
use secp256k1::{
    Message, SECP256K1, SecretKey,
    ecdsa::{RecoverableSignature, RecoveryId},
};
use std::{fmt, str::FromStr};

/// A secp256k1 secret key with its public half. Neither `Debug` nor any error shows the secret, and it is wiped when
/// dropped.
///
/// Its text is what a key file holds: 64 hex digits ([`Self::to_hex`], [`FromStr`]).
#[derive(Clone, PartialEq, Eq)]
pub struct NodeKey {
    secret: SecretKey,
    public: PeerId,
}

/// Bytes or text are no secret key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNodeKey {
    /// The text is not 64 hex digits.
    #[error("a node key is 64 hex digits")]
    Text,
    /// Zero, or not below the order of the curve.
    #[error("the number is outside the range of secret keys")]
    Range,
}

/// A signature leads to no public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no public key fits the signature")]
pub struct InvalidSignature;

impl NodeKey {
    /// The key with these 32 bytes, big-endian.
    pub fn from_bytes(bytes: &B256) -> Result<Self, InvalidNodeKey> {
        SecretKey::from_byte_array(bytes.0).map(Self::from_secret).map_err(|_| InvalidNodeKey::Range)
    }

    /// A new key. A seeded generator gives the same key again, which only tests want.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        loop {
            let mut bytes = [0; 32];
            rng.fill_bytes(&mut bytes);
            // Out of range once in 2^128 draws.
            if let Ok(secret) = SecretKey::from_byte_array(bytes) {
                return Self::from_secret(secret);
            }
        }
    }

    fn from_secret(secret: SecretKey) -> Self {
        Self { public: peer_id::from_public_key(&secret.public_key(SECP256K1)), secret }
    }

    /// The secret itself, for the key file and for libraries with their own key type.
    pub fn to_bytes(&self) -> B256 {
        self.secret.secret_bytes().into()
    }

    /// The secret as a key file holds it: 64 hex digits, no prefix, no newline.
    pub fn to_hex(&self) -> String {
        hex::encode(self.secret.secret_bytes())
    }

    /// The public half: the name others know the node by.
    pub fn public(&self) -> PeerId {
        self.public
    }

    /// Signs a hash: r, s (low half), recovery id 0 to 3.
    pub fn sign_recoverable(&self, hash: &B256) -> [u8; 65] {
        let signature = SECP256K1.sign_ecdsa_recoverable(Message::from_digest(hash.0), &self.secret);
        let (id, compact) = signature.serialize_compact();
        let mut bytes = [0; 65];
        bytes[..64].copy_from_slice(&compact);
        bytes[64] = i32::from(id) as u8;
        bytes
    }

    /// The x coordinate of this secret times the other's public key, which both sides compute alike.
    pub fn ecdh_x(&self, other: &PeerId) -> Result<B256, InvalidPeerId> {
        let point = secp256k1::ecdh::shared_secret_point(&peer_id::to_public_key(other)?, &self.secret);
        Ok(B256::from_slice(&point[..32]))
    }
}

/// Who signed `hash`: r, s, recovery id 0 to 3.
pub fn recover_peer(hash: &B256, signature: &[u8; 65]) -> Result<PeerId, InvalidSignature> {
    let id = RecoveryId::try_from(i32::from(signature[64])).map_err(|_| InvalidSignature)?;
    RecoverableSignature::from_compact(&signature[..64], id)
        .and_then(|signature| SECP256K1.recover_ecdsa(Message::from_digest(hash.0), &signature))
        .map(|key| peer_id::from_public_key(&key))
        .map_err(|_| InvalidSignature)
}

impl FromStr for NodeKey {
    type Err = InvalidNodeKey;

    /// Takes white space around the digits, as files end with a newline.
    fn from_str(text: &str) -> Result<Self, InvalidNodeKey> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.trim(), &mut bytes).map_err(|_| InvalidNodeKey::Text)?;
        Self::from_bytes(&bytes.into())
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeKey").field("public", &self.public).finish_non_exhaustive()
    }
}

impl Drop for NodeKey {
    fn drop(&mut self) {
        self.secret.non_secure_erase();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{b512, keccak256};
    use rand::{SeedableRng, rngs::StdRng};

    // Published in EIP-778 and EIP-8.
    const SECRET: &str = "b71c71a67e1177ad4e901695e1b4b9ee17ae16c6668d313eac2f96dbcda3f291";
    const PUBLIC: PeerId = b512!(
        "ca634cae0d49acb401d8a4c6b6fe8c55b70d115bf400769cc1400f3258cd31387574077f301b421bc84df7266c44e9e6d569fc56be00812904767bf5ccd1fc7f"
    );

    #[test]
    fn published_key_has_its_published_name() {
        let key: NodeKey = SECRET.parse().unwrap();
        assert_eq!(key.public(), PUBLIC);
        assert_eq!(key.to_hex(), SECRET);
        assert_eq!(
            peer_id::node_id(&PUBLIC).to_string(),
            "0xa448f24c6d18e575453db13171562b71999873db5b286df957af199ec94617f7"
        );
        assert_eq!(peer_id::decompress(&peer_id::compress(&PUBLIC)), Ok(PUBLIC));
    }

    #[test]
    fn text_is_64_hex_digits() {
        let check = |text: &str, expect: Result<(), InvalidNodeKey>| {
            assert_eq!(text.parse::<NodeKey>().map(drop), expect, "{text}");
        };
        check(&format!("{SECRET}\n"), Ok(()));
        check(&SECRET[1..], Err(InvalidNodeKey::Text));
        check(&format!("{SECRET}00"), Err(InvalidNodeKey::Text));
        check("", Err(InvalidNodeKey::Text));
        check(&"0".repeat(64), Err(InvalidNodeKey::Range));
        check(&"f".repeat(64), Err(InvalidNodeKey::Range));
    }

    #[test]
    fn debug_hides_the_secret() {
        let key: NodeKey = SECRET.parse().unwrap();
        assert!(!format!("{key:?}").contains(SECRET));
    }

    #[test]
    fn signatures_and_shared_secrets_agree() {
        for seed in 0..50 {
            let mut rng = StdRng::seed_from_u64(seed);
            let (a, b) = (NodeKey::random(&mut rng), NodeKey::random(&mut rng));
            let hash = keccak256(a.public());
            let mut signature = a.sign_recoverable(&hash);
            assert_eq!(recover_peer(&hash, &signature), Ok(a.public()), "seed {seed}");
            assert_eq!(a.ecdh_x(&b.public()), b.ecdh_x(&a.public()), "seed {seed}");
            signature[64] = 4;
            assert_eq!(recover_peer(&hash, &signature), Err(InvalidSignature), "seed {seed}");
        }
    }

    #[test]
    fn a_point_off_the_curve_is_refused() {
        let key: NodeKey = SECRET.parse().unwrap();
        assert_eq!(key.ecdh_x(&PeerId::repeat_byte(1)), Err(InvalidPeerId));
        assert!(!peer_id::is_valid(&PeerId::ZERO) && peer_id::is_valid(&PUBLIC));
    }
}
