use crate::{
    CliqueRule, CliqueSnapshot, HeaderError, PreparedBlock, body::check_body, header::check_header,
    ommers::check_ommers,
};
use starling_chainspec::{ChainSpec, Consensus, Fork};
use starling_primitives::{B256, Header, U256};
use std::sync::Arc;

/// Most bytes of a block since Osaka (EIP-7934): 10 MiB, less 2 MiB for the consensus layer's part.
pub const BLOCK_BYTES_MAX: usize = (10 - 2) << 20;

/// What of a block's ancestors its checks need.
#[derive(Debug, Clone)]
pub struct Ancestry {
    /// The parent's hash and header.
    pub parent: (B256, Header),
    /// The parent's total difficulty; none if it is a proof-of-stake block whose ancestors' is not kept.
    pub parent_total_difficulty: Option<U256>,
    /// Up to seven generations from the parent back, with their ommers' hashes: needed only for a block with ommers.
    pub generations: Vec<(B256, Header, Vec<B256>)>,
    /// Who may sign after the parent: needed on chains of proof of authority only.
    pub clique: Option<Arc<CliqueSnapshot>>,
}

/// Which checks a caller wants beyond those that always hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct CheckOptions {
    /// Also check the Ethash seal (off on import, as in geth and reth).
    pub seal: bool,
}

/// A block that passed [`check`]: its header and body fit its ancestors and the rules of its fork.
#[derive(Debug, Clone)]
pub struct CheckedBlock {
    prepared: Arc<PreparedBlock>,
}

impl std::ops::Deref for CheckedBlock {
    type Target = PreparedBlock;
    fn deref(&self) -> &PreparedBlock {
        &self.prepared
    }
}

/// Checks a block against its ancestors and the rules of its fork.
///
/// A timestamp in the future is no error here: who accepts blocks from strangers decides how long to wait.
pub fn check(
    spec: &ChainSpec,
    block: Arc<PreparedBlock>,
    ancestry: &Ancestry,
    options: CheckOptions,
) -> Result<CheckedBlock, HeaderError> {
    let header = &block.block.header;
    let (parent_hash, parent) = &ancestry.parent;
    check_parent(header, *parent_hash)?;
    check_merge(spec, header, ancestry.parent_total_difficulty)?;
    check_size(spec, &block)?;
    check_header(spec, header, parent)?;
    check_body(spec, &block)?;
    check_ommers(spec, &block, ancestry, options)?;
    check_seal(spec, header, ancestry.clique.as_deref(), options)?;
    Ok(CheckedBlock { prepared: block })
}

/// Checks a header alone against its parent's: all that [`check`] finds without the body. For those who are
/// offered headers before bodies.
pub fn check_header_on(
    spec: &ChainSpec,
    header: &Header,
    parent: (B256, &Header),
    parent_total_difficulty: Option<U256>,
    clique: Option<&CliqueSnapshot>,
    options: CheckOptions,
) -> Result<(), HeaderError> {
    check_parent(header, parent.0)?;
    check_merge(spec, header, parent_total_difficulty)?;
    check_header(spec, header, parent.1)?;
    check_seal(spec, header, clique, options)
}

/// Who made the block may: by its signature, which is always looked at, or by its work, where that is asked for.
fn check_seal(
    spec: &ChainSpec,
    header: &Header,
    clique: Option<&CliqueSnapshot>,
    options: CheckOptions,
) -> Result<(), HeaderError> {
    if spec.is_proof_of_stake(header) {
        return Ok(());
    }
    if matches!(spec.consensus, Consensus::Clique { .. }) {
        return clique.ok_or(CliqueRule::NoSnapshot)?.check(spec, header).map(drop);
    }
    if options.seal { Ok(crate::verify_seal(header)?) } else { Ok(()) }
}

fn check_parent(header: &Header, expected: B256) -> Result<(), HeaderError> {
    let got = header.parent_hash;
    if got == expected { Ok(()) } else { Err(HeaderError::ParentHash { got, expected }) }
}

/// Whether the block is on the right side of the merge: of proof of stake exactly if the parent has reached
/// the terminal total difficulty (EIP-3675). Which fork's rules hold depends on it, so it comes early.
fn check_merge(spec: &ChainSpec, header: &Header, parent_total: Option<U256>) -> Result<(), HeaderError> {
    let Some(terminal) = spec.consensus.terminal_total_difficulty() else { return Ok(()) };
    let got = header.difficulty;
    match parent_total {
        Some(total) if total < terminal && got.is_zero() => Err(HeaderError::BeforeMerge { total, terminal }),
        Some(total) if total < terminal => Ok(()),
        _ if !got.is_zero() => Err(HeaderError::DifficultyAfterMerge { got }),
        _ => Ok(()),
    }
}

fn check_size(spec: &ChainSpec, block: &PreparedBlock) -> Result<(), HeaderError> {
    let bytes = block.rlp.len();
    if bytes > BLOCK_BYTES_MAX && spec.fork_of(&block.block.header) >= Fork::Osaka {
        return Err(HeaderError::Size { bytes, limit: BLOCK_BYTES_MAX });
    }
    Ok(())
}
