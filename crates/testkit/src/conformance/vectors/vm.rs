//! Single runs of code under Frontier's gas rules.
//!
//! The suite starts the code without a transaction around it. Here it runs inside one, whose cost before the
//! code is known and taken off again: as a call, which tells output, logs and the gas before refunds, and as a
//! transaction, which tells the state after it.

use super::fields::{self, address, bytes, hash, number, same, same_debug, word};
use crate::conformance::{
    archive::Member,
    cases::{Cases, Failure},
    json::Accounts,
    state::NumberHashes,
};
use alloy_consensus::{SignableTransaction, TxLegacy};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, keccak256};
use serde_json::Value;
use starling_chainspec::{ChainSpec, Fork};
use starling_execution::{
    Call, CallLimits, CallOutcome, CallResult, Overrides, call, execute_transaction, intrinsic_gas,
};
use starling_primitives::{Account, EMPTY_CODE_HASH, Header, MemoryState, StateDiff, Transaction};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Longer than any of them takes in the slowest build.
const DEADLINE: Duration = Duration::from_secs(120);
/// What the caller owns: more than any of them costs.
const RICHES: U256 = U256::from_limbs([0, 0, 1, 0]);

pub(super) fn run(member: &Member, cases: &mut Cases<'_>) -> Result<(), String> {
    for (name, case) in fields::cases_of(member)? {
        cases.case(&name, "Frontier", || check(&case));
    }
    Ok(())
}

/// A case, set up inside a transaction.
struct Run {
    spec: ChainSpec,
    header: Header,
    state: NumberHashes<MemoryState>,
    caller: Address,
    tx: Transaction,
    gas: u64,
    /// What the transaction costs before the code runs.
    intrinsic_gas: u64,
}

fn check(case: &Value) -> Result<(), Failure> {
    let run = Run::of(case)?;
    let outcome = run.call()?;
    let (output, logs) = match (outcome.result, case.get("post")) {
        (CallResult::Success { output, logs }, Some(_)) => (output, logs),
        (CallResult::Halt { .. }, None) => return Ok(()),
        (result, post) => {
            let expected = if post.is_some() { "success" } else { "failure" };
            return Err(Failure { expected: expected.into(), got: format!("{result:?}"), ..Failure::default() });
        }
    };
    let spent = outcome.gas_peak - run.intrinsic_gas;
    same("gas left", run.gas - spent, number(case, "gas")?)?;
    same("output", output, bytes(case, "out")?)?;
    same("logs", keccak256(alloy_rlp::encode(&logs)), hash(case, "logs")?)?;
    run.check_post(fields::read::<Accounts>(&case["post"])?.into_state())
}

impl Run {
    fn of(case: &Value) -> Result<Self, String> {
        let spec = ChainSpec::up_to(Fork::Frontier);
        let (env, exec) = (&case["env"], &case["exec"]);
        let header = Header {
            beneficiary: address(env, "currentCoinbase")?,
            difficulty: word(env, "currentDifficulty")?,
            gas_limit: number(env, "currentGasLimit")?,
            number: number(env, "currentNumber")?,
            timestamp: number(env, "currentTimestamp")?,
            ..Header::default()
        };
        let (caller, callee) = (address(exec, "caller")?, address(exec, "address")?);
        let (value, gas) = (word(exec, "value")?, number(exec, "gas")?);
        let price = word(exec, "gasPrice")?.saturating_to();
        let mut state = fields::read::<Accounts>(&case["pre"])?.into_state();
        run_code(&mut state, callee, bytes(exec, "code")?, value);
        // A sender of transactions has no code.
        let sender = &mut state.accounts.entry(caller).or_default().0;
        (sender.balance, sender.code_hash) = (RICHES, EMPTY_CODE_HASH);
        let legacy = |gas_limit| TxLegacy {
            nonce: state.accounts[&caller].0.nonce,
            gas_price: price,
            gas_limit,
            to: TxKind::Call(callee),
            value,
            input: bytes(exec, "data").unwrap_or_default(),
            ..TxLegacy::default()
        };
        let sign = |tx: TxLegacy| Transaction::from(tx.into_signed(Signature::test_signature()));
        let intrinsic_gas = intrinsic_gas(Fork::Frontier, &sign(legacy(0)), caller).cost;
        let tx = sign(legacy(gas + intrinsic_gas));
        let header = Header { gas_limit: header.gas_limit.max(gas + intrinsic_gas), ..header };
        Ok(Self { spec, header, state: NumberHashes(state), caller, tx, gas, intrinsic_gas })
    }

    fn call(&self) -> Result<CallOutcome, String> {
        use alloy_consensus::Transaction as _;
        let request = Call {
            from: self.caller,
            to: self.tx.to(),
            gas: Some(self.tx.gas_limit()),
            gas_price: self.tx.gas_price(),
            value: self.tx.value(),
            input: self.tx.input().clone(),
            nonce: Some(self.tx.nonce()),
            ..Call::default()
        };
        let limits = CallLimits { gas_cap: u64::MAX, deadline: Instant::now() + DEADLINE };
        call(&self.spec, &self.header, &self.state, &request, &Overrides::default(), limits)
            .map_err(|error| error.to_string())
    }

    /// Compares every account but those that the transaction around the code pays or is paid.
    fn check_post(&self, expected: MemoryState) -> Result<(), Failure> {
        let (_, diff) = execute_transaction(&self.spec, &self.header, &self.tx, self.caller, &self.state)
            .map_err(|error| error.to_string())?;
        let mut got = self.state.0.clone();
        apply(&mut got, diff, &expected);
        let mut expected = expected.accounts;
        for outside in [self.caller, self.header.beneficiary] {
            expected.remove(&outside);
            got.accounts.remove(&outside);
        }
        same_debug("state after", got.accounts, expected)
    }
}

/// Puts the code where it shall run. The value has been moved when the suite's run begins; here it moves with
/// the transaction, so it is taken off before.
fn run_code(state: &mut MemoryState, callee: Address, code: Bytes, value: U256) {
    let code_hash = keccak256(&code);
    state.codes.insert(code_hash, code);
    let account = &mut state.accounts.entry(callee).or_default().0;
    account.code_hash = code_hash;
    account.balance = account.balance.saturating_sub(value);
}

/// Applies a diff. Slots are known by their hash, so their numbers come from the states on both sides.
fn apply(state: &mut MemoryState, diff: StateDiff, expected: &MemoryState) {
    let known = [&state.accounts, &expected.accounts].into_iter().flatten();
    let numbers: BTreeMap<B256, U256> = known
        .flat_map(|(_, (_, storage))| storage.keys())
        .map(|slot| (keccak256(slot.to_be_bytes::<32>()), *slot))
        .collect();
    for account in diff.accounts {
        let Some(after) = account.after else {
            state.accounts.remove(&account.address);
            continue;
        };
        let entry = state.accounts.entry(account.address).or_default();
        entry.0 = Account { storage_root: entry.0.storage_root, ..after };
        for slot in account.slots {
            // A slot that neither side knows differs under its hash.
            let number = numbers.get(&slot.key).copied().unwrap_or(slot.key.into());
            match slot.after.is_zero() {
                true => entry.1.remove(&number),
                false => entry.1.insert(number, slot.after),
            };
        }
    }
}
