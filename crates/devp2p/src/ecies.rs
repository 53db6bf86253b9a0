//! ECIES, as RLPx uses it: encryption to a public key, with authentication.
//!
//! `R(65) ‖ iv(16) ‖ ciphertext ‖ tag(32)`: R is a fresh public key; its product with the receiver's key gives, by the
//! concatenation KDF of NIST SP 800-56 over SHA-256, a key for AES-128-CTR and one for HMAC-SHA-256. The tag covers
//! iv, ciphertext and bytes that travel in the clear.

use aes::cipher::{KeyIvInit, StreamCipher};
use alloy_primitives::B256;
use hmac::{KeyInit, Mac};
use sha2::{Digest, Sha256};
use starling_primitives::{InvalidPeerId, NodeKey, PeerId};

// The counter is the whole block: the IV is random, so a carry may leave its lower half.
type Aes128Ctr = ctr::Ctr128BE<aes::Aes128>;

const POINT_BYTES: usize = 65;
const IV_BYTES: usize = 16;
const TAG_BYTES: usize = 32;
/// What encryption adds to a text, in bytes.
pub(crate) const OVERHEAD_BYTES: usize = POINT_BYTES + IV_BYTES + TAG_BYTES;

/// Bytes were not encrypted to this key, or changed on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EciesError {
    /// Too short for its parts.
    #[error("encrypted handshake message is too short")]
    TooShort,
    /// What should be a public key is no point of the curve. Multiplying it would leak the secret key bit by bit.
    #[error("handshake key is no point of the curve")]
    InvalidPoint,
    /// The tag does not fit: another key, or changed bytes.
    #[error("handshake message does not authenticate")]
    Tag,
}

struct Keys {
    encryption: [u8; 16],
    /// Zeros after the 32 bytes, as HMAC fills a key up to its block.
    authentication: [u8; 64],
}

impl Keys {
    fn derive(shared: &B256) -> Self {
        let derived = Sha256::new().chain_update(1u32.to_be_bytes()).chain_update(shared).finalize();
        let (encryption, seed) = derived.split_at(16);
        let mut keys = Self { encryption: [0; 16], authentication: [0; 64] };
        keys.encryption.copy_from_slice(encryption);
        keys.authentication[..32].copy_from_slice(&Sha256::digest(seed));
        keys
    }

    fn apply(&self, iv: &[u8; IV_BYTES], text: &mut [u8]) {
        Aes128Ctr::new(&self.encryption.into(), iv.into()).apply_keystream(text);
    }

    fn mac(&self, iv_and_text: &[u8], clear: &[u8]) -> hmac::Hmac<Sha256> {
        let mac = hmac::Hmac::<Sha256>::new(&self.authentication.into());
        Mac::chain_update(Mac::chain_update(mac, iv_and_text), clear)
    }
}

/// Decrypts in place what was encrypted to `key`, and gives the text. `clear` is authenticated with it.
pub fn decrypt<'a>(key: &NodeKey, message: &'a mut [u8], clear: &[u8]) -> Result<&'a mut [u8], EciesError> {
    let (point, rest) = message.split_first_chunk_mut::<POINT_BYTES>().ok_or(EciesError::TooShort)?;
    let (iv_and_text, tag) = rest.split_last_chunk_mut::<TAG_BYTES>().ok_or(EciesError::TooShort)?;
    let [4, point @ ..] = point else { return Err(EciesError::InvalidPoint) };
    // The product is computed only after the point was found on the curve.
    let shared = key.ecdh_x(&PeerId::from(&*point)).map_err(|_| EciesError::InvalidPoint)?;
    let keys = Keys::derive(&shared);
    if iv_and_text.len() < IV_BYTES {
        return Err(EciesError::TooShort);
    }
    keys.mac(iv_and_text, clear).verify_slice(tag).map_err(|_| EciesError::Tag)?;
    let (iv, text) = iv_and_text.split_first_chunk_mut::<IV_BYTES>().ok_or(EciesError::TooShort)?;
    keys.apply(iv, text);
    Ok(text)
}

/// Appends to `out` the encryption of `text` to `to`. `ephemeral` and `iv` must be fresh and random.
pub(crate) fn encrypt(
    to: &PeerId,
    ephemeral: &NodeKey,
    iv: [u8; IV_BYTES],
    text: &[u8],
    clear: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), InvalidPeerId> {
    let keys = Keys::derive(&ephemeral.ecdh_x(to)?);
    out.push(4);
    out.extend_from_slice(ephemeral.public().as_slice());
    let start = out.len();
    out.extend_from_slice(&iv);
    out.extend_from_slice(text);
    keys.apply(&iv, &mut out[start + IV_BYTES..]);
    let tag = keys.mac(&out[start..], clear).finalize().into_bytes();
    out.extend_from_slice(&tag);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    fn key(seed: u64) -> NodeKey {
        NodeKey::random(&mut StdRng::seed_from_u64(seed))
    }

    fn sealed(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encrypt(&key(1).public(), &key(2), [7; 16], text, b"clear", &mut out).unwrap();
        assert_eq!(out.len(), text.len() + OVERHEAD_BYTES);
        out
    }

    #[test]
    fn comes_back_to_its_receiver_alone() {
        for text in [&b""[..], b"a", &[9; 500]] {
            assert_eq!(decrypt(&key(1), &mut sealed(text), b"clear").unwrap(), text);
            assert_eq!(decrypt(&key(3), &mut sealed(text), b"clear"), Err(EciesError::Tag));
            assert_eq!(decrypt(&key(1), &mut sealed(text), b"other"), Err(EciesError::Tag));
        }
    }

    #[test]
    fn any_changed_byte_is_found() {
        let good = sealed(b"text");
        for index in 0..good.len() {
            let mut bad = good.clone();
            bad[index] ^= 1;
            let expect = if index < POINT_BYTES { EciesError::InvalidPoint } else { EciesError::Tag };
            assert_eq!(decrypt(&key(1), &mut bad, b"clear"), Err(expect), "byte {index}");
        }
    }

    #[test]
    fn short_messages_and_other_encodings_of_points_are_refused() {
        let good = sealed(b"");
        for length in 0..good.len() {
            assert!(decrypt(&key(1), &mut good[..length].to_vec(), b"clear").is_err(), "{length} bytes");
        }
        // Hybrid form of the same point, which lenient parsers take.
        let mut hybrid = good.clone();
        hybrid[0] = 6 + (good[64] & 1);
        assert_eq!(decrypt(&key(1), &mut hybrid, b"clear"), Err(EciesError::InvalidPoint));
    }

    #[test]
    fn points_of_other_curves_are_refused_before_they_are_multiplied() {
        // y² = x³ + b with another b has points of small order; any (x, y) lies on one of these curves.
        for (x, y) in [(0u8, 1u8), (1, 1), (2, 3), (5, 8)] {
            let mut message = sealed(b"text");
            message[1..65].fill(0);
            (message[32], message[64]) = (x, y);
            assert_eq!(decrypt(&key(1), &mut message, b"clear"), Err(EciesError::InvalidPoint), "({x}, {y})");
        }
    }
}
