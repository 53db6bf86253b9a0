//! Frames: what travels after the handshake.
//!
//! ```text
//! header 16 │ header tag 16 │ body, filled up to 16 │ body tag 16
//! ```
//!
//! The header holds the body's length. Both parts are encrypted with AES-256-CTR, whose counter runs on through the
//! whole session, and each tag authenticates everything the direction has carried so far. Frames are sealed and opened
//! in the buffer they lie in.

use aes::cipher::{BlockCipherEncrypt, KeyInit, KeyIvInit, StreamCipher};
use alloy_primitives::{B256, Keccak256};

// RLPx begins at counter zero and would need 2^64 blocks to tell this from a wider counter.
type Aes256Ctr = ctr::Ctr64BE<aes::Aes256>;

const BLOCK_BYTES: usize = 16;
/// Header and its tag, in bytes.
pub const HEAD_BYTES: usize = 2 * BLOCK_BYTES;
/// The longest body that a header can name, in bytes.
pub const BODY_BYTES_MAX: usize = (1 << 24) - 1;
/// What the header holds after the length: an RLP list of two zeros, once meant for ids that nobody uses.
const HEADER_DATA: [u8; 3] = [0xc2, 0x80, 0x80];

/// A tag does not fit: bytes changed on the way, or the stream is out of step. Nothing after it can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("frame does not authenticate")]
pub struct BadTag;

/// Bytes that a body and its tag take on the wire.
pub const fn body_bytes(length: usize) -> usize {
    length.next_multiple_of(BLOCK_BYTES) + BLOCK_BYTES
}

/// The state of one direction.
pub struct Direction {
    cipher: Aes256Ctr,
    mac: RunningMac,
}

impl Direction {
    /// A direction with its two secrets; `mac` has taken in what the handshake says.
    pub fn new(aes_secret: &B256, mac_secret: &B256, mac: Keccak256) -> Self {
        let cipher = Aes256Ctr::new((&aes_secret.0).into(), &[0; BLOCK_BYTES].into());
        Self { cipher, mac: RunningMac::new(mac_secret, mac) }
    }

    /// Seals the body at the end of `out`, which begins [`HEAD_BYTES`] after `start`. Its length is the caller's to
    /// bound by [`BODY_BYTES_MAX`].
    pub fn seal(&mut self, out: &mut Vec<u8>, start: usize) {
        let length = out.len() - start - HEAD_BYTES;
        debug_assert!(length <= BODY_BYTES_MAX);
        let end = start + HEAD_BYTES + length.next_multiple_of(BLOCK_BYTES);
        out.resize(end + BLOCK_BYTES, 0);
        let [head, rest] = [start..start + HEAD_BYTES, start + HEAD_BYTES..end + BLOCK_BYTES];
        let mut header = [0; BLOCK_BYTES];
        header[..3].copy_from_slice(&(length as u32).to_be_bytes()[1..]);
        header[3..6].copy_from_slice(&HEADER_DATA);
        self.cipher.apply_keystream(&mut header);
        out[head.clone()][..BLOCK_BYTES].copy_from_slice(&header);
        out[head][BLOCK_BYTES..].copy_from_slice(&self.mac.header(&header));
        let (body, tag) = out[rest].split_at_mut(end - start - HEAD_BYTES);
        self.cipher.apply_keystream(body);
        tag.copy_from_slice(&self.mac.body(body));
    }

    /// Opens a header: the length of the body to come, in bytes.
    pub fn open_head(&mut self, head: &[u8; HEAD_BYTES]) -> Result<usize, BadTag> {
        let (header, tag) = head.split_at(BLOCK_BYTES);
        let mut header: [u8; BLOCK_BYTES] = header.try_into().map_err(|_| BadTag)?;
        if self.mac.header(&header) != *tag {
            return Err(BadTag);
        }
        self.cipher.apply_keystream(&mut header);
        Ok(u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize)
    }

    /// Opens in place a body with its tag, [`body_bytes`] in all.
    pub fn open_body(&mut self, body_and_tag: &mut [u8]) -> Result<(), BadTag> {
        let (body, tag) = body_and_tag.split_last_chunk_mut::<BLOCK_BYTES>().ok_or(BadTag)?;
        if self.mac.body(body) != *tag {
            return Err(BadTag);
        }
        self.cipher.apply_keystream(body);
        Ok(())
    }
}

/// The running keccak of a direction, mixed with AES at every tag.
///
/// The specification computes up to five digests of the running state for a frame. The state after a tag is the state
/// before the next one, so that digest is kept and three remain.
struct RunningMac {
    cipher: aes::Aes256,
    keccak: Keccak256,
    digest: [u8; BLOCK_BYTES],
}

impl RunningMac {
    fn new(secret: &B256, keccak: Keccak256) -> Self {
        let mut mac = Self { cipher: aes::Aes256::new((&secret.0).into()), keccak, digest: [0; BLOCK_BYTES] };
        mac.refresh();
        mac
    }

    fn refresh(&mut self) {
        self.digest.copy_from_slice(&self.keccak.clone().finalize()[..BLOCK_BYTES]);
    }

    fn mix(&mut self, seed: [u8; BLOCK_BYTES]) -> [u8; BLOCK_BYTES] {
        let mut block = self.digest.into();
        self.cipher.encrypt_block(&mut block);
        block.iter_mut().zip(seed).for_each(|(byte, other)| *byte ^= other);
        self.keccak.update(block);
        self.refresh();
        self.digest
    }

    fn header(&mut self, header: &[u8; BLOCK_BYTES]) -> [u8; BLOCK_BYTES] {
        self.mix(*header)
    }

    fn body(&mut self, body: &[u8]) -> [u8; BLOCK_BYTES] {
        self.keccak.update(body);
        self.refresh();
        self.mix(self.digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::keccak256;

    fn direction() -> Direction {
        let mut mac = Keccak256::new();
        mac.update(b"seed");
        Direction::new(&keccak256("aes"), &keccak256("mac"), mac)
    }

    fn sealed(direction: &mut Direction, body: &[u8]) -> Vec<u8> {
        let mut out = b"before".to_vec();
        out.resize(6 + HEAD_BYTES, 0);
        out.extend_from_slice(body);
        direction.seal(&mut out, 6);
        assert_eq!(out.len(), 6 + HEAD_BYTES + body_bytes(body.len()));
        out.split_off(6)
    }

    fn opened(direction: &mut Direction, frame: &mut [u8]) -> Result<Vec<u8>, BadTag> {
        let (head, rest) = frame.split_first_chunk_mut::<HEAD_BYTES>().ok_or(BadTag)?;
        let length = direction.open_head(head)?;
        direction.open_body(rest)?;
        Ok(rest[..length].to_vec())
    }

    #[test]
    fn frames_come_back_in_order() {
        let (mut writer, mut reader) = (direction(), direction());
        for length in [0, 1, 15, 16, 17, 135, 136, 137, 1000, 65_536] {
            let body = vec![length as u8; length];
            let mut frame = sealed(&mut writer, &body);
            assert_eq!(opened(&mut reader, &mut frame), Ok(body), "{length} bytes");
        }
    }

    #[test]
    fn any_changed_byte_is_found() {
        let good = sealed(&mut direction(), b"twenty-one body bytes");
        for index in 0..good.len() {
            let mut bad = good.clone();
            bad[index] ^= 0x40;
            assert_eq!(opened(&mut direction(), &mut bad), Err(BadTag), "byte {index}");
        }
        let mut writer = direction();
        sealed(&mut writer, b"first");
        assert_eq!(opened(&mut direction(), &mut sealed(&mut writer, b"second")), Err(BadTag), "a frame went missing");
    }
}
