//! Message calls and contract creations that are not transactions: no signature, fields optional.

mod access_list;
mod estimate;
mod overrides;
mod setup;

use crate::{
    error::CallError,
    evm::{Ending, Ran},
};
use alloy_eips::eip7702::SignedAuthorization;
use alloy_primitives::{Address, B256, Bytes, Log, U256};
use setup::CallSetup;
use starling_chainspec::ChainSpec;
use starling_primitives::{Header, StateReader};
use std::{collections::BTreeMap, time::Instant};

pub use access_list::{AccessList, create_access_list};
pub use estimate::estimate_gas;

/// A message call or contract creation that is not a transaction: no signature, fields optional.
#[derive(Debug, Clone, Default)]
pub struct Call {
    /// The sender; the zero address by default.
    pub from: Address,
    /// The callee; none creates a contract.
    pub to: Option<Address>,
    /// Gas limit; the caps of [`CallLimits`] by default.
    pub gas: Option<u64>,
    /// Legacy gas price, or both fee fields, or none (then fees are not charged).
    pub gas_price: Option<u128>,
    /// EIP-1559.
    pub max_fee_per_gas: Option<u128>,
    /// EIP-1559.
    pub max_priority_fee_per_gas: Option<u128>,
    /// Wei.
    pub value: U256,
    /// Call data or init code.
    pub input: Bytes,
    /// Nonce; the account's by default.
    pub nonce: Option<u64>,
    /// EIP-2930 access list: addresses and slots.
    pub access_list: Option<AccessList>,
    /// EIP-4844.
    pub max_fee_per_blob_gas: Option<u128>,
    /// EIP-4844.
    pub blob_versioned_hashes: Vec<B256>,
    /// EIP-7702, signed.
    pub authorization_list: Vec<SignedAuthorization>,
}

/// State laid over the real one for one call.
#[derive(Debug, Clone, Default)]
pub struct AccountOverride {
    /// Balance in wei.
    pub balance: Option<U256>,
    /// Nonce.
    pub nonce: Option<u64>,
    /// Code.
    pub code: Option<Bytes>,
    /// The whole storage; slots not named are zero.
    pub state: Option<BTreeMap<B256, B256>>,
    /// Single slots.
    pub state_diff: Option<BTreeMap<B256, B256>>,
    /// Moves a precompile from the overridden address to this one.
    pub move_precompile_to: Option<Address>,
}

/// Block fields laid over the real ones for one call.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct BlockOverride {
    pub number: Option<u64>,
    pub time: Option<u64>,
    pub gas_limit: Option<u64>,
    pub fee_recipient: Option<Address>,
    pub prev_randao: Option<B256>,
    pub base_fee_per_gas: Option<U256>,
    pub blob_base_fee: Option<U256>,
    pub difficulty: Option<U256>,
}

/// Overrides of one call.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// By address.
    pub accounts: BTreeMap<Address, AccountOverride>,
    /// Block fields.
    pub block: BlockOverride,
}

/// What a call may cost.
#[derive(Debug, Clone, Copy)]
pub struct CallLimits {
    /// Most gas (`--rpc.gascap`); zero means no cap.
    pub gas_cap: u64,
    /// When it is cut off (`--rpc.evmtimeout`).
    pub deadline: Instant,
}

/// How a call ended.
#[derive(Debug, Clone)]
pub enum CallResult {
    /// It returned.
    Success {
        /// Return data, or the code of a created contract.
        output: Bytes,
        /// Logs in order.
        logs: Vec<Log>,
    },
    /// It reverted.
    Revert {
        /// The revert data.
        output: Bytes,
    },
    /// It failed and used all its gas; the field's words for it (`out of gas`, `invalid opcode: …`).
    Halt {
        /// Why.
        reason: String,
    },
}

/// A call's end and cost.
#[derive(Debug, Clone)]
pub struct CallOutcome {
    /// How it ended.
    pub result: CallResult,
    /// Gas used, refunds taken off.
    pub gas_used: u64,
    /// Most gas that was used at any moment: before refunds.
    pub gas_peak: u64,
}

/// Runs a call on the state after `header`'s block.
pub fn call(
    spec: &ChainSpec,
    header: &Header,
    state: &dyn StateReader,
    call: &Call,
    overrides: &Overrides,
    limits: CallLimits,
) -> Result<CallOutcome, CallError> {
    let setup = CallSetup::new(spec, header, state, call, overrides, limits)?;
    let tx = setup.resolve(call)?;
    let mut machine = setup.machine()?;
    let ran = machine.call(&tx).map_err(|error| setup.error(error))?;
    Ok(ran.into())
}

impl From<Ran> for CallOutcome {
    fn from(ran: Ran) -> Self {
        let Ran { ending, logs, gas_used, gas_peak, .. } = ran;
        let result = match ending {
            Ending::Success { output } => CallResult::Success { output, logs },
            Ending::Revert { output } => CallResult::Revert { output },
            Ending::Halt { reason, .. } => CallResult::Halt { reason },
        };
        Self { result, gas_used, gas_peak }
    }
}
