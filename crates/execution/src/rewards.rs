//! Ether that a block creates: rewards of proof of work, and withdrawals from the beacon chain.

use crate::{evm::AccessRecorder, overlay::Overlay};
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::U256;
use starling_chainspec::{Consensus, Fork};
use starling_primitives::{Header, ReadError};

const WEI_PER_GWEI: u64 = 1_000_000_000;

/// Pays the author of the block and the authors of its ommers, on forks that create ether for them.
pub(crate) fn pay(
    overlay: &mut Overlay<'_>,
    consensus: &Consensus,
    fork: Fork,
    header: &Header,
    ommers: &[Header],
) -> Result<(), ReadError> {
    let reward = consensus.block_reward(fork);
    if reward.is_zero() {
        return Ok(());
    }
    let clear_empty = fork >= Fork::SpuriousDragon;
    for ommer in ommers {
        let share = consensus.ommer_reward(fork, header.number, ommer.number);
        overlay.credit(&ommer.beneficiary, share, clear_empty)?;
    }
    let inclusion = consensus.inclusion_reward(fork) * U256::from(ommers.len());
    overlay.credit(&header.beneficiary, reward + inclusion, clear_empty)?;
    Ok(())
}

/// Credits withdrawals (EIP-4895); their amounts are in gwei.
pub(crate) fn withdrawals(
    overlay: &mut Overlay<'_>,
    mut recorder: Option<&mut AccessRecorder>,
    withdrawals: &Withdrawals,
) -> Result<(), ReadError> {
    for withdrawal in withdrawals.iter() {
        let address = withdrawal.address;
        let before = overlay.account(&address)?.unwrap_or_default().balance;
        let wei = U256::from(withdrawal.amount) * U256::from(WEI_PER_GWEI);
        let after = overlay.credit(&address, wei, true)?;
        if let Some(recorder) = recorder.as_deref_mut() {
            recorder.balance(address, before, after);
        }
    }
    Ok(())
}
