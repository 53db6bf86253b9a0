//! Calls that the protocol itself makes, before the first transaction and after the last.

use crate::{
    block::fatal,
    error::BlockError,
    evm::{AccessRecorder, Ending, Machine},
};
use alloy_eips::{
    eip2935::HISTORY_STORAGE_ADDRESS,
    eip4788::BEACON_ROOTS_ADDRESS,
    eip7002::{WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, WITHDRAWAL_REQUEST_TYPE},
    eip7251::{CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_TYPE},
    eip8282::{
        BUILDER_DEPOSIT_CONTRACT_ADDRESS, BUILDER_DEPOSIT_REQUEST_TYPE, BUILDER_EXIT_CONTRACT_ADDRESS,
        BUILDER_EXIT_REQUEST_TYPE,
    },
};
use alloy_primitives::{Address, Bytes};
use starling_chainspec::{ChainSpec, Fork};
use starling_primitives::Header;

/// Gas of a system call. Since Amsterdam there is state gas for 16 storage writes on top (EIP-8037),
/// at 64 bytes a write and 1,530 gas a byte.
const SYSTEM_CALL_GAS: u64 = 30_000_000;
const SYSTEM_CALL_STATE_GAS: u64 = 16 * 64 * 1_530;

/// The contracts whose call at the end of a block returns requests, in the order of their types.
const REQUEST_CONTRACTS: [(Fork, u8, Address); 4] = [
    (Fork::Prague, WITHDRAWAL_REQUEST_TYPE, WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS),
    (Fork::Prague, CONSOLIDATION_REQUEST_TYPE, CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS),
    (Fork::Amsterdam, BUILDER_DEPOSIT_REQUEST_TYPE, BUILDER_DEPOSIT_CONTRACT_ADDRESS),
    (Fork::Amsterdam, BUILDER_EXIT_REQUEST_TYPE, BUILDER_EXIT_CONTRACT_ADDRESS),
];

/// Stores the beacon root (EIP-4788) and the parent's hash (EIP-2935). Contracts that are absent or fail
/// change nothing.
pub(crate) fn before_transactions(
    machine: &mut Machine<'_>,
    mut recorder: Option<&mut AccessRecorder>,
    fork: Fork,
    header: &Header,
) -> Result<(), BlockError> {
    if fork >= Fork::Cancun {
        let root = header.parent_beacon_block_root.ok_or(BlockError::HeaderField("parentBeaconBlockRoot"))?;
        call(machine, recorder.as_deref_mut(), fork, BEACON_ROOTS_ADDRESS, root.into())?;
    }
    if fork >= Fork::Prague {
        call(machine, recorder, fork, HISTORY_STORAGE_ADDRESS, header.parent_hash.into())?;
    }
    Ok(())
}

/// Collects the block's requests with their type bytes, empty ones left out (EIP-7685).
pub(crate) fn requests(
    machine: &mut Machine<'_>,
    mut recorder: Option<&mut AccessRecorder>,
    spec: &ChainSpec,
    fork: Fork,
    deposits: Option<Bytes>,
) -> Result<Vec<Bytes>, BlockError> {
    let mut requests = Vec::from_iter(deposits);
    for (since, kind, contract) in REQUEST_CONTRACTS {
        if fork < since || (since == Fork::Amsterdam && !spec.builder_requests) {
            continue;
        }
        if !machine.overlay().account(&contract)?.is_some_and(|info| info.has_code()) {
            return Err(BlockError::SystemContractEmpty(contract));
        }
        let output = match call(machine, recorder.as_deref_mut(), fork, contract, Bytes::new())? {
            Ending::Success { output } => output,
            Ending::Revert { .. } => {
                return Err(BlockError::SystemContractFailed { address: contract, why: "execution reverted".into() });
            }
            Ending::Halt { reason, .. } => {
                return Err(BlockError::SystemContractFailed { address: contract, why: reason });
            }
        };
        if !output.is_empty() {
            requests.push([&[kind], output.as_ref()].concat().into());
        }
    }
    Ok(requests)
}

fn call(
    machine: &mut Machine<'_>,
    recorder: Option<&mut AccessRecorder>,
    fork: Fork,
    contract: Address,
    input: Bytes,
) -> Result<Ending, BlockError> {
    let gas = SYSTEM_CALL_GAS + if fork >= Fork::Amsterdam { SYSTEM_CALL_STATE_GAS } else { 0 };
    let ran = machine.system_call(contract, input, gas).map_err(fatal)?;
    machine.commit(recorder)?;
    Ok(ran.ending)
}
