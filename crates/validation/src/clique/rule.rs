use starling_primitives::{Address, B256};

/// A rule of EIP-225 that a header breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CliqueRule {
    /// There is no room for vanity and seal.
    #[error("extra data of {bytes} bytes, vanity and seal alone take 97")]
    ExtraDataShort {
        /// What there is.
        bytes: usize,
    },
    /// A list of signers that is no checkpoint's.
    #[error("signers are listed outside a checkpoint")]
    SignersOutsideCheckpoint,
    /// A list that is cut off.
    #[error("a list of signers of {bytes} bytes, which are no whole addresses")]
    SignerListLength {
        /// What there is.
        bytes: usize,
    },
    /// A checkpoint lists others than those who may sign.
    #[error("the checkpoint lists other signers than those by the votes")]
    CheckpointSigners,
    /// Checkpoints carry no votes.
    #[error("a vote in a checkpoint")]
    VoteAtCheckpoint,
    /// Neither for nor against.
    #[error("nonce {got:#018x} is no vote")]
    Nonce {
        /// In the header.
        got: u64,
    },
    /// Proof of work's field stays empty.
    #[error("mix hash {got}, expected zero")]
    MixHash {
        /// In the header.
        got: B256,
    },
    /// There are no ommers.
    #[error("ommers hash {got}, expected that of no ommers")]
    Ommers {
        /// In the header.
        got: B256,
    },
    /// Too soon after the parent.
    #[error("timestamp {got} is less than {period} s after the parent's {parent}")]
    Period {
        /// In the header, unix seconds.
        got: u64,
        /// The parent's.
        parent: u64,
        /// Seconds between two blocks, at least.
        period: u64,
    },
    /// The seal is no signature.
    #[error("the seal is no signature")]
    Seal,
    /// Who signed it may not.
    #[error("{signer} is no signer")]
    NotASigner {
        /// Who signed it.
        signer: Address,
    },
    /// Who signed it must wait until others have.
    #[error("{signer} has signed block {last} and must wait until block {next}")]
    SignedRecently {
        /// Who signed it.
        signer: Address,
        /// Its last block.
        last: u64,
        /// The first that it may sign again.
        next: u64,
    },
    /// The difficulty says whose turn it is, and says it wrong.
    #[error("difficulty {got}, but {signer} is {}", if *.in_turn { "in turn: 2" } else { "out of turn: 1" })]
    Turn {
        /// In the header.
        got: u64,
        /// Who signed it.
        signer: Address,
        /// Whether it is its turn.
        in_turn: bool,
    },
    /// There is no consensus layer that could withdraw.
    #[error("withdrawals root {got}, expected that of no withdrawals")]
    Withdrawals {
        /// In the header.
        got: B256,
    },
    /// Blobs need a consensus layer to keep them.
    #[error("{got} blob gas used, and there are no blobs on this chain")]
    Blobs {
        /// In the header.
        got: u64,
    },
    /// There is no beacon chain.
    #[error("parent beacon block root {got}, expected zero")]
    BeaconRoot {
        /// In the header.
        got: B256,
    },
    /// The signers after the parent are not known, so nothing can be said of the seal.
    #[error("the signers after the parent are not known")]
    NoSnapshot,
}
