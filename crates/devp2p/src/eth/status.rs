//! The first message each way, and what in it decides whether there is anything to talk about.

use super::{EthError, EthVersion, ids, raw};
use alloy_primitives::{B256, BlockNumber, U256};
use alloy_rlp::{Decodable, Encodable, Header, RlpEncodable};
use starling_chainspec::{ForkFilter, ForkId, ForkIdError};

/// The Status message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Of eth/68.
    V68(Status68),
    /// Of eth/69 and later.
    V69(Status69),
}

/// Status of eth/68: `[version, network, total difficulty, head, genesis, fork id]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status68 {
    /// Which network the peer believes to be on.
    pub network_id: u64,
    /// Sum of the difficulties from genesis to the peer's head, by its own word.
    pub total_difficulty: U256,
    /// The peer's head.
    pub head: B256,
    /// Hash of block 0.
    pub genesis: B256,
    /// The forks the peer has passed, and the next it expects.
    pub fork_id: ForkId,
}

/// Status of eth/69 and later: `[version, network, genesis, fork id, earliest, latest, latest hash]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status69 {
    /// Which network the peer believes to be on.
    pub network_id: u64,
    /// Hash of block 0.
    pub genesis: B256,
    /// The forks the peer has passed, and the next it expects.
    pub fork_id: ForkId,
    /// The blocks the peer can serve.
    pub range: BlockRange,
}

/// The blocks that a peer can serve: bodies and receipts of `earliest..=latest`. Headers are served from genesis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, RlpEncodable)]
pub struct BlockRange {
    /// The first.
    pub earliest: BlockNumber,
    /// The last, the peer's head.
    pub latest: BlockNumber,
    /// Hash of the last.
    pub latest_hash: B256,
}

/// A range that no honest peer announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRange {
    /// It ends before it begins.
    #[error("block range begins at {earliest} and ends at {latest}")]
    Reversed {
        /// The alleged first block.
        earliest: BlockNumber,
        /// The alleged last block.
        latest: BlockNumber,
    },
    /// The latest block has no hash.
    #[error("block range ends in a block with hash zero")]
    ZeroHash,
}

/// Why a peer's Status ends the session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatusError {
    /// Another network.
    #[error("peer is on network {theirs}, we are on {ours}")]
    Network {
        /// Our network id.
        ours: u64,
        /// The peer's.
        theirs: u64,
    },
    /// Another first block.
    #[error("peer's genesis is {theirs}, ours is {ours}")]
    Genesis {
        /// Our genesis hash.
        ours: B256,
        /// The peer's.
        theirs: B256,
    },
    /// Other forks: one of the two follows another chain, or runs software that is too old.
    #[error("peer's forks do not fit ours: {0}")]
    ForkId(#[from] ForkIdError),
    /// A range that cannot be.
    #[error(transparent)]
    Range(#[from] InvalidRange),
}

impl BlockRange {
    /// Whether an honest peer could have announced it.
    pub fn check(&self) -> Result<(), InvalidRange> {
        if self.earliest > self.latest {
            return Err(InvalidRange::Reversed { earliest: self.earliest, latest: self.latest });
        }
        if self.latest_hash.is_zero() {
            return Err(InvalidRange::ZeroHash);
        }
        Ok(())
    }

    /// Whether the peer claims the body and the receipts of that block.
    pub fn contains(&self, number: BlockNumber) -> bool {
        (self.earliest..=self.latest).contains(&number)
    }

    fn decode_fields(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        Ok(Self {
            earliest: Decodable::decode(buf)?,
            latest: Decodable::decode(buf)?,
            latest_hash: Decodable::decode(buf)?,
        })
    }
}

impl Decodable for BlockRange {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let mut list = Header::decode_bytes(buf, true)?;
        let range = Self::decode_fields(&mut list)?;
        raw::end(list)?;
        Ok(range)
    }
}

impl Status {
    /// Which network the peer believes to be on.
    pub fn network_id(&self) -> u64 {
        match self {
            Self::V68(status) => status.network_id,
            Self::V69(status) => status.network_id,
        }
    }

    /// Hash of block 0.
    pub fn genesis(&self) -> B256 {
        match self {
            Self::V68(status) => status.genesis,
            Self::V69(status) => status.genesis,
        }
    }

    /// The forks the peer has passed, and the next it expects.
    pub fn fork_id(&self) -> ForkId {
        match self {
            Self::V68(status) => status.fork_id,
            Self::V69(status) => status.fork_id,
        }
    }

    /// Hash of the peer's head.
    pub fn head(&self) -> B256 {
        match self {
            Self::V68(status) => status.head,
            Self::V69(status) => status.range.latest_hash,
        }
    }

    /// The peer's word on the total difficulty of its head; only eth/68 has one.
    pub fn total_difficulty(&self) -> Option<U256> {
        match self {
            Self::V68(status) => Some(status.total_difficulty),
            Self::V69(_) => None,
        }
    }

    /// The blocks the peer can serve; eth/68 does not say.
    pub fn range(&self) -> Option<BlockRange> {
        match self {
            Self::V68(_) => None,
            Self::V69(status) => Some(status.range),
        }
    }

    /// Whether this peer is one to talk to, given our own network and genesis and what our head makes of fork ids.
    ///
    /// The order is network, (version,) genesis, fork id, range, so that the first reason named is the plainest one.
    /// The version was compared when the message was decoded ([`EthError::StatusVersion`]).
    pub fn check(&self, network_id: u64, genesis: B256, forks: &ForkFilter) -> Result<(), StatusError> {
        if self.network_id() != network_id {
            return Err(StatusError::Network { ours: network_id, theirs: self.network_id() });
        }
        if self.genesis() != genesis {
            return Err(StatusError::Genesis { ours: genesis, theirs: self.genesis() });
        }
        forks.validate(self.fork_id())?;
        self.range().map_or(Ok(()), |range| range.check().map_err(StatusError::Range))
    }

    /// Whether it has the shape of that version's Status.
    pub(super) fn is_of(&self, version: EthVersion) -> bool {
        matches!(self, Self::V68(_)) == (version == EthVersion::V68)
    }

    pub(super) fn encode(&self, version: EthVersion, out: &mut Vec<u8>) {
        let version = version as u8;
        match self {
            Self::V68(s) => {
                encode_list(&[&version, &s.network_id, &s.total_difficulty, &s.head, &s.genesis, &s.fork_id], out);
            }
            Self::V69(s) => {
                let BlockRange { earliest, latest, latest_hash } = &s.range;
                encode_list(&[&version, &s.network_id, &s.genesis, &s.fork_id, earliest, latest, latest_hash], out);
            }
        }
    }

    pub(super) fn decode(version: EthVersion, payload: &[u8]) -> Result<Self, EthError> {
        let rlp = |error| EthError::Rlp { id: ids::STATUS, error };
        let mut buf = payload;
        let mut list = Header::decode_bytes(&mut buf, true).map_err(rlp)?;
        raw::end(buf).map_err(rlp)?;
        let theirs = u64::decode(&mut list).map_err(rlp)?;
        if theirs != u64::from(version as u8) {
            return Err(EthError::StatusVersion { ours: version, theirs });
        }
        let status = match version {
            EthVersion::V68 => Status68::decode_fields(&mut list).map(Self::V68),
            EthVersion::V69 | EthVersion::V70 | EthVersion::V71 | EthVersion::V72 => {
                Status69::decode_fields(&mut list).map(Self::V69)
            }
        };
        raw::end(list).and(status).map_err(rlp)
    }
}

impl Status68 {
    fn decode_fields(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        Ok(Self {
            network_id: Decodable::decode(buf)?,
            total_difficulty: Decodable::decode(buf)?,
            head: Decodable::decode(buf)?,
            genesis: Decodable::decode(buf)?,
            fork_id: Decodable::decode(buf)?,
        })
    }
}

impl Status69 {
    fn decode_fields(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        Ok(Self {
            network_id: Decodable::decode(buf)?,
            genesis: Decodable::decode(buf)?,
            fork_id: Decodable::decode(buf)?,
            range: BlockRange::decode_fields(buf)?,
        })
    }
}

fn encode_list(fields: &[&dyn Encodable], out: &mut Vec<u8>) {
    let payload_length = fields.iter().map(|field| field.length()).sum();
    Header { list: true, payload_length }.encode(out);
    fields.iter().for_each(|field| field.encode(out));
}
