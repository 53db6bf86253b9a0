//! Calls, estimates and access lists at the head of a chain, against what geth answers there.

mod common;

use alloy_primitives::{Address, B256, Bytes, U256, address, b256, bytes};
use common::chain::{Chain, execute_chain};
use starling_execution::{
    AccountOverride, Call, CallError, CallLimits, CallOutcome, CallResult, Overrides, call, create_access_list,
    estimate_gas,
};
use std::{
    collections::BTreeMap,
    sync::LazyLock,
    time::{Duration, Instant},
};

static CHAIN: LazyLock<Option<Chain>> = LazyLock::new(|| execute_chain("rpc-compat", 54));

const KEYED: Address = address!("0x0c2c51a0990aee1d73c1228de158688341557508");
const TARGET: Address = address!("0x00000000000000000000000000000000c0de0001");
const REVERTER: Address = address!("0x0ee3ab1371c93e7c0c281cc0c2107cdebc8b1930");
const ERROR_DATA: Bytes = bytes!(
    "0x08c379a00000000000000000000000000000000000000000000000000000000000000020000000000000000000000000000000000000000000000000000000000000000a75736572206572726f72"
);

fn limits() -> CallLimits {
    CallLimits { gas_cap: 50_000_000, deadline: Instant::now() + Duration::from_secs(60) }
}

fn run(chain: &Chain, tx: &Call, overrides: &Overrides) -> Result<CallOutcome, CallError> {
    call(&chain.spec, &chain.head, &chain.state, tx, overrides, limits())
}

/// Code laid at [`TARGET`] for one call.
fn code(code: Bytes) -> Overrides {
    let account = AccountOverride { code: Some(code), ..Default::default() };
    Overrides { accounts: BTreeMap::from([(TARGET, account)]), ..Default::default() }
}

fn to(address: Address, input: &'static [u8]) -> Call {
    Call { to: Some(address), input: Bytes::from_static(input), ..Default::default() }
}

#[test]
fn contracts_answer_as_geth_has_them_answer() {
    let Some(chain) = &*CHAIN else { return };
    let returns = |tx: &Call, overrides: &Overrides| match run(chain, tx, overrides).unwrap().result {
        CallResult::Success { output, .. } => output,
        other => panic!("{other:?}"),
    };
    let contract = to(address!("0x17e7eedce4ac02ef114a7ed9fe6e2f33feba1667"), &[0xff, 1]);
    assert_eq!(returns(&contract, &Overrides::default()), bytes!("0xffee"));

    let delegated = to(address!("0xeda8645ba6948855e3b3cd596bbb07596d59c603"), &[]);
    assert_eq!(
        returns(&delegated, &Overrides::default()),
        bytes!(
            "0x000000000000000000000000eda8645ba6948855e3b3cd596bbb07596d59c603696e766f6b656400000000000000000000000000000000000000000000000000"
        )
    );

    // without a fee the base fee is zero, with one it is the block's: BASEFEE PUSH0 MSTORE MSIZE PUSH0 RETURN
    let base_fee = code(bytes!("0x485f52595ff3"));
    assert_eq!(returns(&to(TARGET, &[]), &base_fee), Bytes::from(vec![0; 32]));
    let paid = Call { from: KEYED, gas: Some(100_000), gas_price: Some(1 << 40), ..to(TARGET, &[]) };
    let expected = U256::from(chain.head.base_fee_per_gas.unwrap()).to_be_bytes::<32>();
    assert_eq!(returns(&paid, &base_fee), Bytes::from(expected));
}

#[test]
fn reverts_and_halts_in_the_words_that_scripts_know() {
    let Some(chain) = &*CHAIN else { return };
    match run(chain, &to(REVERTER, &[1]), &Overrides::default()).unwrap().result {
        CallResult::Revert { output } => assert_eq!(output, ERROR_DATA),
        other => panic!("{other:?}"),
    }
    let check =
        |program: Bytes, words: &str| match run(chain, &Call { gas: Some(100_000), ..to(TARGET, &[]) }, &code(program))
            .unwrap()
        {
            CallOutcome { result: CallResult::Halt { reason }, gas_used: 100_000, .. } => assert_eq!(reason, words),
            other => panic!("{words}: {other:?}"),
        };
    check(bytes!("0xfe"), "invalid opcode: INVALID");
    check(bytes!("0x0c"), "invalid opcode: opcode 0xc not defined");
    check(bytes!("0x600056"), "invalid jump destination");
    check(bytes!("0x600101"), "stack underflow (1 <=> 2)");
    check(bytes!("0x5b5f600056"), "stack limit reached 1024 (1023)");
    check(bytes!("0x5b600056"), "out of gas");
    check(bytes!("0x60015f5f3e"), "return data out of bounds");
    check(bytes!("0x5f5f5f5f5f303d5a90505a50fe"), "invalid opcode: INVALID");
}

#[test]
fn calls_that_are_none() {
    let Some(chain) = &*CHAIN else { return };
    let check = |tx: Call, words: &str| match run(chain, &tx, &Overrides::default()) {
        Err(CallError::Invalid(why)) => assert_eq!(why, words),
        other => panic!("{words}: {other:?}"),
    };
    check(
        Call { from: TARGET, value: U256::MAX, ..to(TARGET, &[]) },
        &format!("insufficient funds for gas * price + value: address {TARGET} have 0 want {}", U256::MAX),
    );
    check(Call { gas: Some(20_000), ..to(TARGET, &[]) }, "intrinsic gas too low: have 20000, want 21000");
    check(
        Call { gas: Some(30_000), max_fee_per_gas: Some(1), max_priority_fee_per_gas: Some(2), ..to(TARGET, &[]) },
        &format!(
            "max priority fee per gas higher than max fee per gas: address {}, maxPriorityFeePerGas: 2, maxFeePerGas: 1",
            Address::ZERO
        ),
    );
    check(
        Call { gas_price: Some(1), max_fee_per_gas: Some(1), ..to(TARGET, &[]) },
        "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified",
    );
}

#[test]
fn a_call_without_end_ends_at_its_deadline() {
    let Some(chain) = &*CHAIN else { return };
    // a loop without calls; a program that calls itself twice over and over without a jump
    for program in [bytes!("0x5b600056"), bytes!("0x5f5f5f5f5f305af15f5f5f5f5f305af1")] {
        let started = Instant::now();
        let limits = CallLimits { gas_cap: 0, deadline: started + Duration::from_millis(50) };
        let tx = Call { gas: Some(u64::MAX / 4), ..to(TARGET, &[]) };
        match call(&chain.spec, &chain.head, &chain.state, &tx, &code(program), limits) {
            Err(CallError::Timeout(after)) => assert!(after <= Duration::from_millis(50)),
            other => panic!("{other:?}"),
        }
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    }
}

#[test]
fn overrides_reach_state_code_and_precompiles() {
    let Some(chain) = &*CHAIN else { return };
    let returns = |overrides: &Overrides| match run(chain, &to(TARGET, &[]), overrides).unwrap().result {
        CallResult::Success { output, .. } => output,
        other => panic!("{other:?}"),
    };
    // slots 0 and 1 and the contract's own balance, added
    let mut overrides = code(bytes!("0x5f546001540147015f5260205ff3"));
    let account = overrides.accounts.get_mut(&TARGET).unwrap();
    account.balance = Some(U256::from(1000));
    account.state_diff = Some(BTreeMap::from([(
        B256::ZERO,
        b256!("0x0000000000000000000000000000000000000000000000000000000000000007"),
    )]));
    assert_eq!(U256::from_be_slice(&returns(&overrides)), U256::from(1007));
    let account = overrides.accounts.get_mut(&TARGET).unwrap();
    account.state = account.state_diff.clone();
    match run(chain, &to(TARGET, &[]), &overrides) {
        Err(CallError::Invalid(why)) => assert_eq!(why, format!("account {TARGET} has both 'state' and 'stateDiff'")),
        other => panic!("{other:?}"),
    }

    // identity moves to the target and is no more at its old place
    let identity = Address::with_last_byte(4);
    let moved = AccountOverride { move_precompile_to: Some(TARGET), ..Default::default() };
    let overrides = Overrides { accounts: BTreeMap::from([(identity, moved.clone())]), ..Default::default() };
    let answer = |address| match run(chain, &to(address, b"here"), &overrides).unwrap().result {
        CallResult::Success { output, .. } => output,
        other => panic!("{other:?}"),
    };
    assert_eq!(answer(TARGET), Bytes::from_static(b"here"));
    assert_eq!(answer(identity), Bytes::new());
    let overrides = Overrides { accounts: BTreeMap::from([(TARGET, moved)]), ..Default::default() };
    match run(chain, &to(TARGET, &[]), &overrides) {
        Err(CallError::Invalid(why)) => assert_eq!(why, format!("account {TARGET} is not a precompile")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn estimates_are_geths() {
    let Some(chain) = &*CHAIN else { return };
    let estimate =
        |tx: Call| estimate_gas(&chain.spec, &chain.head, &chain.state, &tx, &Overrides::default(), limits());
    let from = address!("0x0102030000000000000000000000000000000000");
    let contract = address!("0x17e7eedce4ac02ef114a7ed9fe6e2f33feba1667");
    assert_eq!(estimate(Call { from, ..to(contract, &[0xff, 1]) }).unwrap(), 0x5316);
    let transfer =
        Call { from: KEYED, value: U256::from(1), ..to(address!("0x0100000000000000000000000000000000000000"), &[]) };
    assert_eq!(estimate(transfer.clone()).unwrap(), 21_000);
    let blob = Call {
        max_fee_per_blob_gas: Some(5),
        blob_versioned_hashes: vec![b256!("0x0100000000000000000000000000000000000000000000000000000000000000")],
        ..transfer
    };
    assert_eq!(estimate(blob).unwrap(), 21_000);
    match estimate(Call { from, ..to(contract, &[0xff, 3, 4, 5]) }) {
        Err(CallError::Reverted(output)) => assert_eq!(output, bytes!("0x77726f6e672d63616c6c6461746173697a65")),
        other => panic!("{other:?}"),
    }
    match estimate(Call { from, ..to(REVERTER, &[1]) }) {
        Err(CallError::Reverted(output)) => assert_eq!(output, ERROR_DATA),
        other => panic!("{other:?}"),
    }
    match estimate(Call { from, gas: Some(21_001), ..to(contract, &[0xff, 1]) }) {
        Err(CallError::GasExceedsAllowance(21_001)) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn access_lists_are_geths() {
    let Some(chain) = &*CHAIN else { return };
    let list = |tx: Call| {
        create_access_list(&chain.spec, &chain.head, &chain.state, &tx, &Overrides::default(), limits()).unwrap()
    };
    let contract = address!("0x7dcd17433742f4c0ca53122ab541d0ba67fc27df");
    let slots = vec![B256::ZERO, b256!("0x13a08e3cd39a1bc7bf9103f63f83273cced2beada9f723945176d6b983c65bd2")];
    let tx = Call { from: KEYED, gas: Some(0xea60), ..to(contract, &[1, 2, 3, 4, 5, 6]) };
    let legacy = Call { gas_price: Some(0x1a21397), ..tx.clone() };
    let dynamic = Call { max_fee_per_gas: Some(0x1a21397), max_priority_fee_per_gas: Some(3), ..tx };
    for tx in [legacy, dynamic] {
        let (list, outcome) = list(tx);
        assert_eq!(list, vec![(contract, slots.clone())]);
        assert_eq!(outcome.gas_used, 0xca3c);
    }
    let (list, outcome) = list(Call { gas: Some(0x186a0), ..to(REVERTER, &[1]) });
    assert_eq!(list, vec![(REVERTER, vec![B256::from(U256::from(0x42ff))])]);
    assert_eq!(outcome.gas_used, 0x639d);
    assert!(matches!(outcome.result, CallResult::Revert { .. }));
}
