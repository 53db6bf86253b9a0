//! Headers as they came, and what makes a run of them a chain.

use alloy_rlp::{Decodable, Header as RlpHeader};
use starling_primitives::{B256, BlockRef, Bytes, EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH, Header};
use starling_validation::PreparedBlock;

/// A longer header is refused unread: extra data is at most 32 bytes, but for the signers in Clique's checkpoints.
/// What a stranger can make us hold of headers that nothing proves yet is a multiple of this.
const HEADER_BYTES_MAX: usize = 4 << 10;

/// A header's bytes with what is needed of it until its block is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SealedHeader {
    /// Number and hash.
    pub(crate) at: BlockRef,
    /// The parent's hash.
    pub(crate) parent_hash: B256,
    /// RLP, byte for byte as it came.
    pub(crate) rlp: Bytes,
    /// What the body must hash to.
    pub(crate) roots: BodyRoots,
}

/// The three hashes by which a header names its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BodyRoots {
    /// Root of the transactions.
    pub(crate) transactions: B256,
    /// Hash of the ommers.
    pub(crate) ommers: B256,
    /// Root of the withdrawals; none before Shanghai.
    pub(crate) withdrawals: Option<B256>,
}

impl BodyRoots {
    /// Whether only one body has these roots: that with nothing in it.
    pub(crate) fn is_of_empty_body(&self) -> bool {
        self.transactions == EMPTY_ROOT_HASH
            && self.ommers == EMPTY_OMMER_ROOT_HASH
            && self.withdrawals.is_none_or(|root| root == EMPTY_ROOT_HASH)
    }
}

impl SealedHeader {
    /// Reads and hashes a header; the whole of it besides, for those who check more than its links.
    pub(crate) fn decode(rlp: Bytes) -> alloy_rlp::Result<(Self, Header)> {
        if rlp.len() > HEADER_BYTES_MAX {
            return Err(alloy_rlp::Error::Custom("header too long"));
        }
        let mut rest = rlp.as_ref();
        let header = Header::decode(&mut rest)?;
        if !rest.is_empty() {
            return Err(alloy_rlp::Error::UnexpectedLength);
        }
        Ok((Self::of(&header, rlp), header))
    }

    /// A header whose RLP is at hand.
    pub(crate) fn of(header: &Header, rlp: Bytes) -> Self {
        Self {
            at: BlockRef::new(header.number, starling_primitives::keccak256(&rlp)),
            parent_hash: header.parent_hash,
            roots: BodyRoots {
                transactions: header.transactions_root,
                ommers: header.ommers_hash,
                withdrawals: header.withdrawals_root,
            },
            rlp,
        }
    }

    /// The header of a block that was prepared here. None if its RLP is no block's, which cannot be.
    pub(crate) fn of_block(block: &PreparedBlock) -> Option<Self> {
        let mut rest = block.rlp.as_ref();
        let items = RlpHeader::decode_bytes(&mut rest, true).ok()?;
        let mut rest = items;
        RlpHeader::decode_bytes(&mut rest, true).ok()?;
        let header = items.get(..items.len() - rest.len())?;
        Some(Self::of(&block.block.header, block.rlp.slice_ref(header)))
    }
}

/// Reads headers that should form a chain towards genesis. None if they do not, or one does not decode.
pub(crate) fn descending(items: Vec<Bytes>) -> Option<Vec<SealedHeader>> {
    let mut headers: Vec<SealedHeader> = Vec::with_capacity(items.len());
    for rlp in items {
        let (header, _) = SealedHeader::decode(rlp).ok()?;
        if let Some(child) = headers.last()
            && (child.parent_hash != header.at.hash || child.at.number.checked_sub(1) != Some(header.at.number))
        {
            return None;
        }
        headers.push(header);
    }
    Some(headers)
}
