//! The handshake: each side proves its key and both agree on secrets (RLPx "v4 handshake" in the form of EIP-8).
//!
//! ```text
//! initiator ── auth: signature, static key, nonce ──► recipient      each is size(2) ‖ ECIES message,
//!           ◄── ack: ephemeral key, nonce ───────────                and the size is authenticated with it
//! ```
//!
//! Signature: the ephemeral key signs `static shared secret ^ nonce`, so only the owner of the static key can have
//! made it, and the ephemeral key follows from it. As EIP-8 asks, versions are not compared, and elements and bytes
//! after the known ones are ignored. The older form without a size is not spoken any more.

use crate::ecies::{self, EciesError};
use crate::frame::Direction;
use alloy_primitives::{B256, Keccak256, keccak256};
use alloy_rlp::{Decodable, Encodable, Header};
use rand::CryptoRng;
use starling_primitives::{InvalidPeerId, NodeKey, PeerId, recover_peer};

/// The longest handshake message that is read, without its size, in bytes.
pub(crate) const MESSAGE_BYTES_MAX: usize = 2048;
/// Bytes of the size in front of a handshake message.
pub(crate) const SIZE_BYTES: usize = 2;
/// Version of the handshake. Nobody compares it.
const VERSION: u8 = 4;
/// Bounds of the random filling, which makes messages of this form longer than any of the older one, in bytes.
const PADDING_BYTES: std::ops::Range<usize> = 100..200;

/// Why the handshake failed. Nothing was agreed on, so the peer cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The size names more or less than a handshake message can be.
    #[error("handshake message of {0} bytes")]
    Size(usize),
    /// Not encrypted to us, or changed on the way.
    #[error(transparent)]
    Ecies(#[from] EciesError),
    /// Decrypted, but not the list that it should be.
    #[error("handshake message cannot be decoded: {0}")]
    Rlp(#[from] alloy_rlp::Error),
    /// A key in it is no point of the curve.
    #[error("key in the handshake: {0}")]
    Key(#[from] InvalidPeerId),
    /// The signature leads to no key.
    #[error("signature in the handshake is invalid")]
    Signature,
}

/// What one side draws for one handshake.
pub(crate) struct Randomness {
    ephemeral: NodeKey,
    nonce: B256,
    ecies_key: NodeKey,
    ecies_iv: [u8; 16],
    padding: Vec<u8>,
}

/// What the handshake ends in.
pub(crate) struct Agreed {
    /// The peer, proven.
    pub(crate) remote: PeerId,
    /// From us to the peer.
    pub(crate) egress: Direction,
    /// From the peer to us.
    pub(crate) ingress: Direction,
}

/// The side that called, between auth and ack.
pub(crate) struct Initiator {
    remote: PeerId,
    ephemeral: NodeKey,
    nonce: B256,
    /// As sent, size included.
    auth: Vec<u8>,
}

/// The side that was called, before auth.
pub(crate) struct Recipient {
    key: NodeKey,
    randomness: Randomness,
}

impl Randomness {
    pub(crate) fn draw(rng: &mut impl CryptoRng) -> Self {
        let (ephemeral, ecies_key) = (NodeKey::random(rng), NodeKey::random(rng));
        let (mut nonce, mut ecies_iv) = (B256::ZERO, [0; 16]);
        rng.fill_bytes(nonce.as_mut_slice());
        rng.fill_bytes(&mut ecies_iv);
        let width = (PADDING_BYTES.end - PADDING_BYTES.start) as u32;
        let mut padding = vec![0; PADDING_BYTES.start + (rng.next_u32() % width) as usize];
        rng.fill_bytes(&mut padding);
        Self { ephemeral, nonce, ecies_key, ecies_iv, padding }
    }

    /// Seals the body of a handshake message to `to`; the size comes first.
    fn seal(&self, to: &PeerId, mut body: Vec<u8>) -> Result<Vec<u8>, InvalidPeerId> {
        body.extend_from_slice(&self.padding);
        // At most 520 bytes: the fields are of fixed size and the filling is bounded.
        let size = ((body.len() + ecies::OVERHEAD_BYTES) as u16).to_be_bytes();
        let mut packet = size.to_vec();
        ecies::encrypt(to, &self.ecies_key, self.ecies_iv, &body, &size, &mut packet)?;
        Ok(packet)
    }
}

/// The size in front of a handshake message, if it is one that we read.
pub(crate) fn message_size(bytes: [u8; SIZE_BYTES]) -> Result<usize, HandshakeError> {
    let size = usize::from(u16::from_be_bytes(bytes));
    (ecies::OVERHEAD_BYTES..=MESSAGE_BYTES_MAX).contains(&size).then_some(size).ok_or(HandshakeError::Size(size))
}

/// Opens a handshake message, size included, and gives its list's content.
fn open<'a>(key: &NodeKey, packet: &'a mut [u8]) -> Result<&'a [u8], HandshakeError> {
    let (size, message) = packet.split_first_chunk_mut::<SIZE_BYTES>().ok_or(EciesError::TooShort)?;
    let mut body: &[u8] = ecies::decrypt(key, message, size)?;
    Ok(Header::decode_bytes(&mut body, true)?)
}

fn list(fields: &[&dyn Encodable]) -> Vec<u8> {
    let payload_length = fields.iter().map(|field| field.length()).sum();
    let mut out = Vec::new();
    Header { list: true, payload_length }.encode(&mut out);
    fields.iter().for_each(|field| field.encode(&mut out));
    out
}

impl Initiator {
    /// Calls `remote`; the message to send is [`Self::auth`].
    pub(crate) fn new(key: &NodeKey, remote: PeerId, randomness: Randomness) -> Result<Self, InvalidPeerId> {
        let proof = key.ecdh_x(&remote)? ^ randomness.nonce;
        let signature = randomness.ephemeral.sign_recoverable(&proof);
        let body = list(&[&signature, &key.public(), &randomness.nonce, &VERSION]);
        let auth = randomness.seal(&remote, body)?;
        Ok(Self { remote, ephemeral: randomness.ephemeral, nonce: randomness.nonce, auth })
    }

    pub(crate) fn auth(&self) -> &[u8] {
        &self.auth
    }

    /// Takes the answer, size included. `packet` is decrypted in place.
    pub(crate) fn read_ack(self, key: &NodeKey, packet: &mut [u8]) -> Result<Agreed, HandshakeError> {
        let ack = packet.to_vec();
        let mut fields = open(key, packet)?;
        let remote_ephemeral = PeerId::decode(&mut fields)?;
        let remote_nonce = B256::decode(&mut fields)?;
        let secrets = Secrets::derive(&self.ephemeral, &remote_ephemeral, &remote_nonce, &self.nonce)?;
        Ok(Agreed {
            remote: self.remote,
            egress: secrets.direction(&remote_nonce, &self.auth),
            ingress: secrets.direction(&self.nonce, &ack),
        })
    }
}

impl Recipient {
    pub(crate) fn new(key: NodeKey, randomness: Randomness) -> Self {
        Self { key, randomness }
    }

    /// Takes the call, size included, and gives the answer to send. `packet` is decrypted in place.
    pub(crate) fn read_auth(self, packet: &mut [u8]) -> Result<(Agreed, Vec<u8>), HandshakeError> {
        let Self { key, randomness } = self;
        let auth = packet.to_vec();
        let mut fields = open(&key, packet)?;
        let signature = <[u8; 65]>::decode(&mut fields)?;
        let remote = PeerId::decode(&mut fields)?;
        let remote_nonce = B256::decode(&mut fields)?;
        let proof = key.ecdh_x(&remote)? ^ remote_nonce;
        let remote_ephemeral = recover_peer(&proof, &signature).map_err(|_| HandshakeError::Signature)?;

        let nonce = randomness.nonce;
        let body = list(&[&randomness.ephemeral.public(), &nonce, &VERSION]);
        let ack = randomness.seal(&remote, body)?;
        let secrets = Secrets::derive(&randomness.ephemeral, &remote_ephemeral, &nonce, &remote_nonce)?;
        let egress = secrets.direction(&remote_nonce, &ack);
        let ingress = secrets.direction(&nonce, &auth);
        Ok((Agreed { remote, egress, ingress }, ack))
    }
}

struct Secrets {
    aes: B256,
    mac: B256,
}

impl Secrets {
    fn derive(
        ephemeral: &NodeKey,
        remote_ephemeral: &PeerId,
        recipient_nonce: &B256,
        initiator_nonce: &B256,
    ) -> Result<Self, InvalidPeerId> {
        let pair = |a: &B256, b: &B256| {
            let mut bytes = [0; 64];
            bytes[..32].copy_from_slice(a.as_slice());
            bytes[32..].copy_from_slice(b.as_slice());
            keccak256(bytes)
        };
        let key = ephemeral.ecdh_x(remote_ephemeral)?;
        let shared = pair(&key, &pair(recipient_nonce, initiator_nonce));
        let aes = pair(&key, &shared);
        Ok(Self { mac: pair(&key, &aes), aes })
    }

    /// One direction; its running keccak begins with the receiver's nonce and the sender's handshake message.
    fn direction(&self, receiver_nonce: &B256, sent: &[u8]) -> Direction {
        Direction::new(&self.aes, &self.mac, self.running_mac(receiver_nonce, sent))
    }

    fn running_mac(&self, receiver_nonce: &B256, sent: &[u8]) -> Keccak256 {
        let mut keccak = Keccak256::new();
        keccak.update(self.mac ^ *receiver_nonce);
        keccak.update(sent);
        keccak
    }
}

#[cfg(test)]
mod tests;
