//! Hello: the first message each way, which says what is spoken.

use crate::Protocol;
use alloy_rlp::{Decodable, Encodable, Header};
use starling_primitives::PeerId;

/// The version of `p2p` that we speak: Snappy since version 5.
pub const P2P_VERSION: u64 = 5;
/// The longest Hello that is read, and the longest message of `p2p` at all, in bytes.
pub const HELLO_BYTES_MAX: usize = 2048;

/// A name and a version in Hello.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Capability {
    /// Short and ASCII, if its sender keeps to the rules.
    pub name: String,
    /// Its version.
    pub version: u64,
}

impl std::fmt::Display for Capability {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.name, self.version)
    }
}

/// What a peer says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Version of `p2p`. Any is taken: rules of later versions are for those who speak them.
    pub version: u64,
    /// Name and version of the program, for people. Control characters were replaced, so that it can be logged.
    pub client_id: String,
    /// Everything it speaks.
    pub capabilities: Vec<Capability>,
    /// A port it listens on, by its own word; usually zero.
    pub listen_port: u16,
    /// Who it claims to be.
    pub id: PeerId,
}

impl Hello {
    /// Our own.
    pub(crate) fn ours(client_id: &str, protocols: &[Protocol], listen_port: u16, id: PeerId) -> Self {
        let capability = |p: &Protocol| Capability { name: p.name.into(), version: p.version.into() };
        let mut capabilities: Vec<_> = protocols.iter().map(capability).collect();
        capabilities.sort_unstable_by(|a, b| a.name.cmp(&b.name).then(a.version.cmp(&b.version)));
        Self { version: P2P_VERSION, client_id: client_id.into(), capabilities, listen_port, id }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let fields: [&dyn Encodable; 5] =
            [&self.version, &self.client_id.as_str(), &self.capabilities, &self.listen_port, &self.id];
        let payload_length = fields.iter().map(|field| field.length()).sum();
        Header { list: true, payload_length }.encode(out);
        fields.iter().for_each(|field| field.encode(out));
    }

    /// Reads a Hello. What follows the five fields, inside the list or after it, belongs to later versions and is
    /// ignored (EIP-8), as is what follows name and version of a capability.
    pub(crate) fn decode(mut payload: &[u8]) -> alloy_rlp::Result<Self> {
        let mut list = Header::decode_bytes(&mut payload, true)?;
        let version = u64::decode(&mut list)?;
        let client_id = readable(Header::decode_bytes(&mut list, false)?);
        let mut names = Header::decode_bytes(&mut list, true)?;
        let mut capabilities = Vec::new();
        while !names.is_empty() {
            let mut capability = Header::decode_bytes(&mut names, true)?;
            let name = readable(Header::decode_bytes(&mut capability, false)?);
            capabilities.push(Capability { name, version: u64::decode(&mut capability)? });
        }
        let listen_port = u16::try_from(u64::decode(&mut list)?).unwrap_or(0);
        let id = PeerId::decode(&mut list)?;
        Ok(Self { version, client_id, capabilities, listen_port, id })
    }
}

impl Encodable for Capability {
    fn encode(&self, out: &mut dyn alloy_rlp::BufMut) {
        Header { list: true, payload_length: self.name.length() + self.version.length() }.encode(out);
        self.name.encode(out);
        self.version.encode(out);
    }

    fn length(&self) -> usize {
        let payload = self.name.length() + self.version.length();
        payload + alloy_rlp::length_of_length(payload)
    }
}

fn readable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace(char::is_control, "\u{fffd}")
}
