use crate::Attributes;
use alloy_rlp::Encodable;
use sha2::{Digest, Sha256};
use starling_primitives::B256;
use std::fmt;

/// The version of payload attributes: of the forkchoiceUpdated that they came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum AttributesVersion {
    /// Paris.
    V1 = 1,
    /// With withdrawals.
    V2 = 2,
    /// With the parent beacon block's root.
    V3 = 3,
    /// With the slot number.
    V4 = 4,
}

/// Names a payload that is being built. The same parent and attributes give the same id, as in geth: the first eight
/// bytes of a hash over them, the first of these replaced by the version.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PayloadId(pub [u8; 8]);

impl PayloadId {
    /// The id of a payload on that parent with these attributes.
    pub fn new(version: AttributesVersion, parent: B256, attributes: &Attributes) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(parent);
        hasher.update(attributes.timestamp.to_be_bytes());
        hasher.update(attributes.prev_randao);
        hasher.update(attributes.fee_recipient);
        let mut withdrawals = Vec::new();
        attributes.withdrawals.as_deref().unwrap_or_default().to_vec().encode(&mut withdrawals);
        hasher.update(withdrawals);
        if let Some(root) = attributes.parent_beacon_block_root {
            hasher.update(root);
        }
        if let Some(slot) = attributes.slot_number {
            hasher.update(slot.to_be_bytes());
        }
        if version >= AttributesVersion::V4 {
            hasher.update(attributes.gas_limit_target.to_be_bytes());
        }
        let mut id = [0; 8];
        for (byte, hash) in id.iter_mut().zip(hasher.finalize()) {
            *byte = hash;
        }
        id[0] = version as u8;
        Self(id)
    }

    /// The first byte: the version of the attributes, whether or not there is such a version.
    pub fn version(&self) -> u8 {
        self.0[0]
    }
}

impl fmt::Display for PayloadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", alloy_primitives::hex::encode_prefixed(self.0))
    }
}

impl fmt::Debug for PayloadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
