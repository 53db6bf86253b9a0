//! Protocols over one session: who owns which message id.
//!
//! Both sides name what they speak in Hello. Of each name the highest version that both have is used. The names used,
//! in alphabetical order, take consecutive ranges of message ids after those of `p2p`.

use crate::Capability;

/// The first message id after those of `p2p`.
pub const PROTOCOL_OFFSET: u8 = 0x10;

/// A version of a protocol that we can speak, and what RLPx must know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Protocol {
    /// The name in Hello, ASCII, at most eight bytes.
    pub name: &'static str,
    /// The version in Hello.
    pub version: u8,
    /// How many message ids it takes, used or not.
    pub message_count: u8,
    /// The largest message, decompressed, in bytes. A peer that sends more breaks the rules.
    pub message_bytes_max: usize,
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.name, self.version)
    }
}

/// The protocols that both sides speak, each with its first message id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SharedProtocols(Vec<(u8, Protocol)>);

impl SharedProtocols {
    /// Matches what we offer with what the peer named. What would not fit into the 112 ids of one byte is left out, of
    /// our offer alone, so both sides would have to offer absurdly much.
    pub(crate) fn agree(offered: &[Protocol], theirs: &[Capability]) -> Self {
        let spoken = |ours: &&Protocol| {
            theirs.iter().any(|other| other.name == ours.name && other.version == u64::from(ours.version))
        };
        let mut common: Vec<Protocol> = offered.iter().filter(spoken).copied().collect();
        common.sort_unstable_by(|a, b| a.name.cmp(b.name).then(b.version.cmp(&a.version)));
        common.dedup_by(|later, first| later.name == first.name);
        let mut offset = PROTOCOL_OFFSET;
        let place = |protocol: Protocol| {
            let first = offset;
            offset = offset.checked_add(protocol.message_count).filter(|end| *end <= 0x80)?;
            Some((first, protocol))
        };
        Self(common.into_iter().map_while(place).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn protocols(&self) -> Vec<Protocol> {
        self.0.iter().map(|(_, protocol)| *protocol).collect()
    }

    /// Whose message this is, and its id within that protocol.
    pub(crate) fn owner(&self, wire_id: u8) -> Option<(Protocol, u8)> {
        self.0.iter().find_map(|(first, protocol)| {
            let id = wire_id.checked_sub(*first)?;
            (id < protocol.message_count).then_some((*protocol, id))
        })
    }

    /// The id on the wire of a protocol's message.
    pub(crate) fn wire_id(&self, protocol: &Protocol, id: u8) -> Option<u8> {
        let (first, _) = self.0.iter().find(|(_, shared)| shared == protocol)?;
        (id < protocol.message_count).then(|| first + id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{eth::EthVersion, snap::SNAP_1};

    fn theirs(names: &[(&str, u64)]) -> Vec<Capability> {
        names.iter().map(|(name, version)| Capability { name: (*name).into(), version: *version }).collect()
    }

    #[test]
    fn the_highest_common_version_of_each_name_in_alphabetical_order() {
        let offered = [SNAP_1, EthVersion::V68.protocol(), EthVersion::V70.protocol(), EthVersion::V69.protocol()];
        let check = |names: &[(&str, u64)], expect: &[(&str, u8, u8)]| {
            let shared = SharedProtocols::agree(&offered, &theirs(names));
            let got: Vec<_> = shared.0.iter().map(|(first, p)| (p.name, p.version, *first)).collect();
            assert_eq!(got, expect, "{names:?}");
        };
        check(&[("eth", 68), ("eth", 69)], &[("eth", 69, 0x10)]);
        check(&[("snap", 1), ("eth", 72), ("eth", 70)], &[("eth", 70, 0x10), ("snap", 1, 0x22)]);
        check(&[("snap", 1), ("eth", 68)], &[("eth", 68, 0x10), ("snap", 1, 0x21)]);
        check(&[("eth", 69), ("eth", 69)], &[("eth", 69, 0x10)]);
        check(&[("eth", 69 + 256), ("snap", 2), ("les", 4), ("", 0)], &[]);
        check(&[], &[]);
    }

    #[test]
    fn ids_belong_to_the_range_of_their_protocol() {
        let eth = EthVersion::V69.protocol();
        let shared = SharedProtocols::agree(&[eth, SNAP_1], &theirs(&[("eth", 69), ("snap", 1)]));
        assert_eq!(shared.owner(0x0f), None);
        assert_eq!(shared.owner(0x10), Some((eth, 0)));
        assert_eq!(shared.owner(0x21), Some((eth, 0x11)));
        assert_eq!(shared.owner(0x22), Some((SNAP_1, 0)));
        assert_eq!(shared.owner(0x2a), None);
        assert_eq!(shared.wire_id(&SNAP_1, 7), Some(0x29));
        assert_eq!(shared.wire_id(&SNAP_1, 8), None);
        assert_eq!(shared.wire_id(&EthVersion::V70.protocol(), 0), None);
    }
}
