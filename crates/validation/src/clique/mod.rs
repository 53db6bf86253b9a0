//! Proof of authority ([EIP-225](https://eips.ethereum.org/EIPS/eip-225)): who may sign a block, as a fold over headers.
//!
//! ```text
//! snapshot after the parent ──check──► the signer may sign, and says its turn right
//!                           ──apply──► snapshot after the block: votes counted, the signer waits
//! ```
//!
//! A [`CliqueSnapshot`] follows from the headers alone. Every `epoch` blocks a checkpoint lists the signers and forgets
//! all open votes, so that nobody needs headers from before it but the few whose signers must wait.

mod rule;
mod snapshot;

pub use rule::CliqueRule;
pub use snapshot::{CliqueSnapshot, CliqueVote};

use crate::HeaderError;
use starling_chainspec::{CLIQUE_SEAL_BYTES, ChainSpec, Consensus};
use starling_primitives::{Address, B256, EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH, Header, U256};

/// Bytes at the beginning of the extra data that a signer may fill as it likes.
pub const CLIQUE_VANITY_BYTES: usize = 32;
/// The difficulty of a block whose signer's turn it is.
pub const CLIQUE_IN_TURN: u64 = 2;
/// The difficulty of any other block.
pub const CLIQUE_OUT_OF_TURN: u64 = 1;
/// The nonce of a vote to let an account sign.
pub const CLIQUE_VOTE_AUTHORIZE: u64 = u64::MAX;
/// The nonce of a vote to let it sign no more, and of no vote at all.
pub const CLIQUE_VOTE_DROP: u64 = 0;

/// The length of an epoch in blocks, and the least seconds between two blocks; none if the chain has no such consensus.
pub fn clique_terms(spec: &ChainSpec) -> Option<(u64, u64)> {
    match spec.consensus {
        Consensus::Clique { period, epoch, .. } => Some((epoch, period)),
        _ => None,
    }
}

/// The signers that a checkpoint's extra data lists, in its order.
pub fn checkpoint_signers(header: &Header) -> Option<Vec<Address>> {
    let list = signer_list(header)?;
    (list.len() % Address::len_bytes() == 0).then(|| list.chunks_exact(20).map(Address::from_slice).collect())
}

fn signer_list(header: &Header) -> Option<&[u8]> {
    let end = header.extra_data.len().checked_sub(CLIQUE_SEAL_BYTES)?;
    header.extra_data.get(CLIQUE_VANITY_BYTES..end)
}

/// All that a header of this consensus must satisfy by itself and towards its parent.
pub(crate) fn check_fields(spec: &ChainSpec, header: &Header, parent: &Header) -> Result<(), HeaderError> {
    let Some((epoch, period)) = clique_terms(spec) else { return Ok(()) };
    let is_checkpoint = header.number.is_multiple_of(epoch);
    let nonce = u64::from(header.nonce);
    let list = signer_list(header).ok_or(CliqueRule::ExtraDataShort { bytes: header.extra_data.len() })?;
    let rule = match () {
        () if is_checkpoint && !header.beneficiary.is_zero() => CliqueRule::VoteAtCheckpoint,
        () if nonce != CLIQUE_VOTE_DROP && nonce != CLIQUE_VOTE_AUTHORIZE => CliqueRule::Nonce { got: nonce },
        () if is_checkpoint && nonce != CLIQUE_VOTE_DROP => CliqueRule::VoteAtCheckpoint,
        () if !is_checkpoint && !list.is_empty() => CliqueRule::SignersOutsideCheckpoint,
        () if list.len() % Address::len_bytes() != 0 => CliqueRule::SignerListLength { bytes: list.len() },
        () if !header.mix_hash.is_zero() => CliqueRule::MixHash { got: header.mix_hash },
        () if header.ommers_hash != EMPTY_OMMER_ROOT_HASH => CliqueRule::Ommers { got: header.ommers_hash },
        () if header.difficulty != U256::from(CLIQUE_IN_TURN)
            && header.difficulty != U256::from(CLIQUE_OUT_OF_TURN) =>
        {
            return Err(HeaderError::Difficulty { got: header.difficulty, expected: U256::from(CLIQUE_OUT_OF_TURN) });
        }
        () if header.timestamp < parent.timestamp.saturating_add(period) => {
            CliqueRule::Period { got: header.timestamp, parent: parent.timestamp, period }
        }
        () => return check_later_fields(header),
    };
    Err(rule.into())
}

/// What later forks brought for the consensus layer, which is not there: no withdrawals, no blobs, no beacon block.
fn check_later_fields(header: &Header) -> Result<(), HeaderError> {
    if let Some(got) = header.withdrawals_root.filter(|root| *root != EMPTY_ROOT_HASH) {
        return Err(CliqueRule::Withdrawals { got }.into());
    }
    if let Some(got) = header.blob_gas_used.filter(|gas| *gas != 0) {
        return Err(CliqueRule::Blobs { got }.into());
    }
    if let Some(got) = header.parent_beacon_block_root.filter(|root| *root != B256::ZERO) {
        return Err(CliqueRule::BeaconRoot { got }.into());
    }
    Ok(())
}
