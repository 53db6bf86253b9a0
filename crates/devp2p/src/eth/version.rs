use super::MESSAGE_BYTES_MAX;
use crate::Protocol;
use std::fmt;

/// A version of `eth` that we speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum EthVersion {
    /// EIP-5793. The only one whose Status carries a total difficulty, so the only one for chains before the merge.
    V68 = 68,
    /// EIP-7642: Status carries a range of blocks, receipts travel without blooms.
    V69 = 69,
    /// EIP-7975: receipts of one block may take several answers.
    V70 = 70,
    /// EIP-8159: access lists of blocks, which headers name since Amsterdam.
    V71 = 71,
    /// EIP-8070, in review: transactions travel without their blobs, which are asked for in cells.
    V72 = 72,
}

impl EthVersion {
    /// All of them, lowest first.
    pub const ALL: [Self; 5] = [Self::V68, Self::V69, Self::V70, Self::V71, Self::V72];
    /// The highest that is offered unless somebody wants more.
    pub const SETTLED: Self = Self::V71;

    /// What Hello offers and RLPx must know.
    pub const fn protocol(self) -> Protocol {
        let version = self as u8;
        Protocol { name: "eth", version, message_count: message_count(version), message_bytes_max: MESSAGE_BYTES_MAX }
    }

    /// Those up to a version, lowest first.
    pub fn up_to(max: Self) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |version| *version <= max)
    }

    /// Whether transactions come without their blobs, which are asked for in cells.
    pub fn has_cells(self) -> bool {
        self >= Self::V72
    }

    /// The version behind an agreed protocol; nothing when that is not `eth`.
    pub fn of(protocol: &Protocol) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.protocol() == *protocol)
    }
}

/// How many message ids a version takes.
const fn message_count(version: u8) -> u8 {
    match version {
        ..=68 => 17,
        69 | 70 => 18,
        71 => 20,
        72.. => 22,
    }
}

impl fmt::Display for EthVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "eth/{}", *self as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_name_their_version() {
        for version in EthVersion::ALL {
            let protocol = version.protocol();
            assert_eq!(EthVersion::of(&protocol), Some(version));
            assert_eq!(version.to_string(), protocol.to_string());
        }
        assert_eq!(EthVersion::of(&crate::snap::SNAP_1), None);
    }
}
