use super::*;
use crate::{
    block::{Computed, run},
    evm::{PrecompileRun, run_precompile},
};
use alloy_consensus::{SignableTransaction, TxLegacy, proofs::calculate_transaction_root};
use alloy_primitives::{Address, B256, Bytes, Signature, U256, hex, keccak256};
use starling_chainspec::Fork;
use starling_primitives::{Block, BlockBody, EMPTY_OMMER_ROOT_HASH, Header, MemoryState, NodeKey};

const CONTRACT: Address = Address::with_last_byte(0xcc);
const ECRECOVER: Address = Address::with_last_byte(1);
/// Signatures that the first transaction recovers: enough to call for help.
const RECOVERIES: u64 = 100;
const TRANSACTIONS: u64 = 4;

/// Recovers a signer for each number from the first word of the input down to 1, and logs it.
const PROGRAM: &str = concat!(
    "601b602052", // memory 0x20: v
    "6001604052", // memory 0x40: r
    "6001606052", // memory 0x60: s
    "5f35",       // the number
    "5b805f52",   // 0x11, the loop: memory 0x00: the number
    "602060806080",
    "5f60015afa50", // call of address 1
    "60206080a0",   // LOG0
    "6001900380",   // one less
    "601157",       // again, unless zero
    "00",
);

/// Transaction i recovers for the numbers from (i + 1) · 100 down.
fn block(spec: &ChainSpec, key: &NodeKey) -> Arc<PreparedBlock> {
    let call = |nonce| TxLegacy {
        nonce,
        gas_limit: 30_000 + (nonce + 1) * RECOVERIES * 5_000,
        input: U256::from((nonce + 1) * RECOVERIES).to_be_bytes_vec().into(),
        ..TxLegacy::default()
    };
    block_of(spec, key, (0..TRANSACTIONS).map(call))
}

/// Calls of the contract.
fn block_of(spec: &ChainSpec, key: &NodeKey, calls: impl Iterator<Item = TxLegacy>) -> Arc<PreparedBlock> {
    let transactions = calls.map(|call| {
        let tx = TxLegacy { chain_id: Some(spec.chain_id), to: CONTRACT.into(), ..call };
        let signature = Signature::from_raw_array(&key.sign_recoverable(&tx.signature_hash())).unwrap();
        tx.into_signed(signature).into()
    });
    let body = BlockBody { transactions: transactions.collect(), ..BlockBody::default() };
    let header = Header {
        number: 1,
        gas_limit: 30_000_000,
        transactions_root: calculate_transaction_root(&body.transactions),
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        ..Header::default()
    };
    Arc::new(PreparedBlock::from_block(spec, &Block { header, body }).unwrap())
}

fn state() -> MemoryState {
    let mut state = MemoryState::default();
    state.insert(CONTRACT, 1, U256::ZERO, hex::decode(PROGRAM).unwrap().into(), Default::default());
    state
}

fn computed(spec: &ChainSpec, block: &PreparedBlock, ahead: Option<&LookAhead>) -> Computed {
    let PreparedBlock { block, senders, .. } = block;
    run(spec, &block.header, &block.body, senders, &state(), ahead, &mut |_| Ok(B256::ZERO)).unwrap()
}

fn key() -> NodeKey {
    NodeKey::from_bytes(&keccak256("a key")).unwrap()
}

#[test]
fn a_block_gives_the_same_with_help_and_without() {
    let spec = Arc::new(ChainSpec::up_to(Fork::Shanghai));
    let block = block(&spec, &key());
    let alone = computed(&spec, &block, None);
    assert_eq!(
        alone.receipts.iter().map(|receipt| receipt.logs.len()).max(),
        Some((TRANSACTIONS * RECOVERIES) as usize)
    );

    let ahead = LookAhead::new(spec.clone(), block.clone(), state());
    ahead.0.run();
    let helped = computed(&spec, &block, Some(&ahead));
    assert!(ahead.0.called.load(Ordering::Relaxed), "the block did not call for help");
    assert_eq!((alone.receipts, alone.diff), (helped.receipts, helped.diff));
}

#[test]
fn the_last_transactions_are_there_first_and_are_taken() {
    let spec = Arc::new(ChainSpec::up_to(Fork::Shanghai));
    let block = block(&spec, &key());
    let input = |number: u64| -> Vec<u8> {
        [number, 27, 1, 1].iter().flat_map(|word| U256::from(*word).to_be_bytes::<32>()).collect()
    };
    let ahead = LookAhead::new(spec.clone(), block.clone(), state());
    ahead.0.run();
    let last = input(TRANSACTIONS * RECOVERIES);
    let kept = ahead.0.results.get(&ECRECOVER, &last, u64::MAX).unwrap();
    assert_eq!(Some(Ok(kept)), run_precompile(Fork::Shanghai, &ECRECOVER, &last, u64::MAX));

    // A wrong result in its place shows that the block takes it. On a pool of one thread, where no help comes that
    // would put the right one back.
    let wrong = PrecompileRun { gas_used: 3_000, output: Bytes::from(vec![7; 32]) };
    ahead.0.results.put(ECRECOVER, &last, wrong.clone());
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let misled = alone.install(|| computed(&spec, &block, Some(&ahead)));
    let first_log = misled.receipts.last().and_then(|receipt| receipt.logs.first()).unwrap();
    assert_eq!(first_log.data.data, wrong.output);
}

#[test]
fn work_ends_when_the_block_has_come_past_it() {
    let spec = Arc::new(ChainSpec::up_to(Fork::Shanghai));
    let block = block(&spec, &key());
    let ahead = LookAhead::new(spec, block, state());
    let work = ahead.0.clone();
    drop(ahead);
    work.run();
    assert!(!work.results.is_full());
    assert_eq!(work.results.len(), 0);
}

#[test]
fn calls_with_more_gas_than_may_be_spent_ahead() {
    let spec = Arc::new(ChainSpec::up_to(Fork::Shanghai));
    let run_ahead = |program: &str, input: Vec<u8>, gas_limit: u64| {
        let call = |nonce| TxLegacy { nonce, gas_limit, input: input.clone().into(), ..TxLegacy::default() };
        let mut state = MemoryState::default();
        state.insert(CONTRACT, 1, U256::ZERO, hex::decode(program).unwrap().into(), Default::default());
        let ahead = LookAhead::new(spec.clone(), block_of(&spec, &key(), (0..2).map(call)), state);
        ahead.0.run();
        ahead.0.results.len()
    };
    // Each call is given all gas but a 64th. If it did not give back what it does not need, the third one would have none.
    assert_eq!(run_ahead(PROGRAM, U256::from(RECOVERIES).to_be_bytes_vec(), 100_000_000), RECOVERIES as usize);
    let blake2 = |rounds: u32| {
        let input = [rounds.to_be_bytes().as_slice(), &[0; 208], &[1]].concat();
        run_ahead("365f5f375f5f365f60095afa50", input, u64::from(u32::MAX) * 2)
    };
    assert_eq!(blake2(4_000), 1);
    // A minute of a core, if it ran.
    assert_eq!(blake2(u32::MAX), 0);
}
