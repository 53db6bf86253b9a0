//! What limits a block, and who gets its fees. That built blocks are accepted, whatever their transactions, is the
//! differential fuzz's to show (testkit).

use alloy_consensus::{Signed, TxEip1559, TxEip4844};
use alloy_eips::{
    eip4844::BlobTransactionSidecar,
    eip7594::{BlobTransactionSidecarEip7594, BlobTransactionSidecarVariant},
};
use starling_builder::{
    Attributes, Authorship, BuildError, Built, Candidate, Candidates, Given, Limits, Parent, Unfit, build,
    build_for_seal,
};
use starling_chainspec::{ChainSpec, Consensus, Fork, state_root};
use starling_primitives::{Address, B64, B256, Bytes, EMPTY_ROOT_HASH, MemoryState, StateReader, Transaction, U256};
use starling_state::{StateView, genesis_record};
use starling_storage::{Database, GenesisRecord, StorageConfig};
use starling_validation::BLOCK_BYTES_MAX;
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicBool},
    time::Instant,
};

const RICH: Address = Address::repeat_byte(1);
const ALSO_RICH: Address = Address::repeat_byte(2);
const PAYEE: Address = Address::repeat_byte(3);
const AUTHOR: Address = Address::repeat_byte(4);
const BASE_FEE: u64 = 1_000_000_000;
const TIP: u128 = 5;

/// A chain of one block.
struct Ground {
    spec: ChainSpec,
    state: StateView,
    /// Views end with it.
    _database: Database,
}

impl Ground {
    fn new(fork: Fork, gas_limit: u64) -> Self {
        Self::of(ChainSpec::up_to(fork), fork, gas_limit)
    }

    fn of(mut spec: ChainSpec, fork: Fork, gas_limit: u64) -> Self {
        let mut state = MemoryState::default();
        for address in [RICH, ALSO_RICH] {
            state.insert(address, 0, U256::from(10).pow(U256::from(24)), Bytes::new(), BTreeMap::new());
        }
        for (since, address, code) in [
            (
                Fork::Prague,
                alloy_eips::eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
                &alloy_eips::eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_CODE,
            ),
            (
                Fork::Prague,
                alloy_eips::eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
                &alloy_eips::eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_CODE,
            ),
        ] {
            if fork >= since {
                state.insert(address, 1, U256::ZERO, code.clone(), BTreeMap::new());
            }
        }
        let header = &mut spec.genesis_header;
        header.gas_limit = gas_limit;
        header.state_root = state_root(&state);
        header.base_fee_per_gas = Some(BASE_FEE);
        header.withdrawals_root = (fork >= Fork::Shanghai).then_some(EMPTY_ROOT_HASH);
        if fork >= Fork::Cancun {
            (header.blob_gas_used, header.excess_blob_gas) = (Some(0), Some(0));
            header.parent_beacon_block_root = Some(B256::ZERO);
        }
        header.requests_hash = (fork >= Fork::Prague).then_some(alloy_eips::eip7685::EMPTY_REQUESTS_HASH);
        spec.genesis_state = state.into();
        let block = genesis_record(&spec).expect("a genesis");
        let hash = spec.genesis_hash();
        let genesis = GenesisRecord { block, config: Bytes::from_static(b"{}") };
        let database = Database::create(StorageConfig::memory(), genesis).expect("a database");
        let state = StateView::new(database.view(hash).expect("its view"));
        Self { spec, state, _database: database }
    }

    fn parent(&self) -> Parent<'_> {
        Parent { header: &self.spec.genesis_header, state: &self.state }
    }

    fn build(&self, candidates: &mut dyn Candidates, limits: &Limits) -> Result<Built, BuildError> {
        build(&self.spec, self.parent(), &self.attributes(), candidates, limits)
    }

    fn attributes(&self) -> Attributes {
        Attributes {
            timestamp: 12,
            fee_recipient: AUTHOR,
            prev_randao: B256::ZERO,
            withdrawals: None,
            parent_beacon_block_root: None,
            slot_number: None,
            gas_limit_target: self.spec.genesis_header.gas_limit,
            extra_data: Bytes::new(),
        }
    }
}

/// Candidates of a pool: a refused one takes its sender's others with it.
struct Offered {
    candidates: std::vec::IntoIter<Candidate>,
    last: Option<Address>,
    refused: Vec<Unfit>,
}

impl Offered {
    fn new(candidates: Vec<Candidate>) -> Self {
        Self { candidates: candidates.into_iter(), last: None, refused: Vec::new() }
    }
}

impl Candidates for Offered {
    fn next(&mut self) -> Option<Candidate> {
        let next = self.candidates.next()?;
        self.last = Some(next.sender);
        Some(next)
    }

    fn refused(&mut self, why: Unfit) -> Result<(), Unfit> {
        self.refused.push(why);
        let rest: Vec<_> = self.candidates.by_ref().filter(|candidate| Some(candidate.sender) != self.last).collect();
        self.candidates = rest.into_iter();
        Ok(())
    }
}

fn signature() -> alloy_primitives::Signature {
    alloy_primitives::Signature::new(U256::from(1), U256::from(1), false)
}

fn candidate(spec: &ChainSpec, sender: Address, nonce: u64, gas_limit: u64, input: Bytes) -> Candidate {
    let tx = TxEip1559 {
        chain_id: spec.chain_id,
        nonce,
        gas_limit,
        max_fee_per_gas: 10 * u128::from(BASE_FEE),
        max_priority_fee_per_gas: TIP,
        to: PAYEE.into(),
        value: U256::from(1),
        access_list: Default::default(),
        input,
    };
    let tx = Transaction::from(Signed::new_unhashed(tx, signature()));
    Candidate { tx, sender, sidecar: None }
}

fn transfers(spec: &ChainSpec, sender: Address, count: u64) -> Vec<Candidate> {
    (0..count).map(|nonce| candidate(spec, sender, nonce, 21_000, Bytes::new())).collect()
}

#[test]
fn a_block_ends_where_its_gas_ends() {
    let ground = Ground::new(Fork::Osaka, 1_000_000);
    let mut offered = Offered::new(transfers(&ground.spec, RICH, 60));
    let built = ground.build(&mut offered, &Limits::default()).expect("a block");
    assert_eq!(built.block.body.transactions.len(), 47);
    assert_eq!(built.block.header.gas_used, 47 * 21_000);
    assert_eq!(built.fees, U256::from(47 * 21_000 * TIP as u64));
    assert_eq!((built.senders.len(), built.receipts.len()), (47, 47));
}

#[test]
fn what_does_not_fit_is_left_out_with_its_senders_others() {
    let ground = Ground::new(Fork::Osaka, 1_000_000);
    let mut candidates = transfers(&ground.spec, RICH, 2);
    candidates.push(candidate(&ground.spec, ALSO_RICH, 0, 990_000, Bytes::new()));
    candidates.push(candidate(&ground.spec, ALSO_RICH, 1, 21_000, Bytes::new()));
    candidates.push(candidate(&ground.spec, RICH, 2, 21_000, Bytes::new()));
    candidates.push(candidate(&ground.spec, RICH, 7, 21_000, Bytes::new()));
    let mut offered = Offered::new(candidates);
    let built = ground.build(&mut offered, &Limits::default()).expect("a block");
    assert_eq!(built.senders, [RICH; 3]);
    assert_eq!(offered.refused.len(), 2, "{:?}", offered.refused);
}

#[test]
fn what_is_given_must_stand() {
    let ground = Ground::new(Fork::Osaka, 1_000_000);
    let check = |candidates, expect: &str| {
        let error = ground.build(&mut Given::new(candidates), &Limits::default()).expect_err(expect).to_string();
        assert!(error.contains(expect), "{error}");
    };
    check(vec![candidate(&ground.spec, RICH, 1, 21_000, Bytes::new())], "nonce too high");
    check(vec![candidate(&ground.spec, PAYEE, 0, 21_000, Bytes::new())], "insufficient funds");
    check(vec![candidate(&ground.spec, RICH, 0, 20_999, Bytes::new())], "intrinsic gas too low");
    check(transfers(&ground.spec, RICH, 48), "gas limit reached");
    check(transfers(&ChainSpec { chain_id: 77, ..ground.spec.clone() }, RICH, 1), "chain");
}

#[test]
fn a_block_of_osaka_keeps_below_its_size() {
    const INPUT_BYTES: usize = 120_000;
    let check = |fork, transactions: usize| {
        let ground = Ground::new(fork, 1_000_000_000);
        let input = Bytes::from(vec![0; INPUT_BYTES]);
        let candidates = (0..90).map(|nonce| candidate(&ground.spec, RICH, nonce, 1_300_000, input.clone())).collect();
        let built = ground.build(&mut Offered::new(candidates), &Limits::default()).expect("a block");
        assert_eq!(built.block.body.transactions.len(), transactions, "{fork}");
        built.prepare().rlp.len()
    };
    check(Fork::Prague, 90);
    let bytes = check(Fork::Osaka, 69);
    assert!(bytes <= BLOCK_BYTES_MAX && bytes + INPUT_BYTES > BLOCK_BYTES_MAX - 2_048, "{bytes}");
}

fn blob_candidate(
    spec: &ChainSpec,
    nonce: u64,
    blobs: u8,
    sidecar: Option<BlobTransactionSidecarVariant>,
) -> Candidate {
    let hash = |index| {
        let mut hash = B256::repeat_byte(index);
        hash[0] = 1;
        hash
    };
    let tx = TxEip4844 {
        chain_id: spec.chain_id,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 10 * u128::from(BASE_FEE),
        max_priority_fee_per_gas: TIP,
        to: PAYEE,
        max_fee_per_blob_gas: 1_000,
        blob_versioned_hashes: (0..blobs).map(hash).collect(),
        ..Default::default()
    };
    let tx = Transaction::from(Signed::new_unhashed(tx, signature()));
    Candidate { tx, sender: RICH, sidecar: sidecar.map(Arc::new) }
}

#[test]
fn blobs_are_limited_and_come_with_the_forks_proofs() {
    let by_blob = || Some(BlobTransactionSidecarVariant::Eip4844(BlobTransactionSidecar::default()));
    let by_cell = || Some(BlobTransactionSidecarVariant::Eip7594(BlobTransactionSidecarEip7594::default()));
    let check = |fork, sidecar: &dyn Fn() -> Option<BlobTransactionSidecarVariant>, limits: Limits, taken: usize| {
        let ground = Ground::new(fork, 30_000_000);
        let candidates = (0..8).map(|nonce| blob_candidate(&ground.spec, nonce, 2, sidecar())).collect();
        let built = ground.build(&mut Offered::new(candidates), &limits).expect("a block");
        assert_eq!(built.block.body.transactions.len(), taken, "{fork} {limits:?}");
        assert_eq!(built.block.header.blob_gas_used, Some(taken as u64 * 2 * 131_072));
        built.sidecars.len()
    };
    let free = Limits::default;
    let needs_sidecars = || Limits { needs_sidecars: true, ..Limits::default() };
    check(Fork::Cancun, &|| None, free(), 3);
    check(Fork::Prague, &|| None, free(), 4);
    check(Fork::Prague, &|| None, Limits { blobs_max: Some(5), ..free() }, 2);
    check(Fork::Prague, &|| None, needs_sidecars(), 0);
    check(Fork::Prague, &by_cell, needs_sidecars(), 0);
    assert_eq!(check(Fork::Prague, &by_blob, needs_sidecars(), 4), 4);
    check(Fork::Osaka, &by_blob, needs_sidecars(), 0);
    assert_eq!(check(Fork::Osaka, &by_cell, needs_sidecars(), 4), 4);
}

#[test]
fn a_block_that_must_stop_is_a_block() {
    let ground = Ground::new(Fork::Osaka, 30_000_000);
    for limits in [
        Limits { stop: Some(Arc::new(AtomicBool::new(true))), ..Limits::default() },
        Limits { deadline: Some(Instant::now()), ..Limits::default() },
    ] {
        let built = ground.build(&mut Offered::new(transfers(&ground.spec, RICH, 5)), &limits).expect("a block");
        assert!(built.block.body.transactions.is_empty() && built.prepare().is_of_its_header());
    }
}

#[test]
fn attributes_that_no_block_can_have() {
    let check = |fork, change: &dyn Fn(&mut Attributes)| {
        let ground = Ground::new(fork, 30_000_000);
        let mut attributes = ground.attributes();
        change(&mut attributes);
        let built =
            build(&ground.spec, ground.parent(), &attributes, &mut Offered::new(Vec::new()), &Limits::default());
        assert!(matches!(built, Err(BuildError::Attributes(_))), "{built:?}");
    };
    check(Fork::Osaka, &|attributes| attributes.timestamp = 0);
    check(Fork::Paris, &|attributes| attributes.withdrawals = Some(vec![Default::default()]));
}

/// On Clique the header's beneficiary is a vote, and the fees are the signer's, who is not known from the header yet.
#[test]
fn the_author_of_a_block_that_is_sealed_later_gets_its_fees() {
    let mut spec = ChainSpec::up_to(Fork::London);
    spec.consensus = Consensus::Clique { period: 1, epoch: 30_000, terminal_total_difficulty: None };
    let ground = Ground::of(spec, Fork::London, 30_000_000);
    let attributes =
        Attributes { fee_recipient: PAYEE, extra_data: Bytes::from(vec![0; 32 + 65]), ..ground.attributes() };
    let authorship = Authorship { author: AUTHOR, difficulty: U256::from(2), nonce: B64::repeat_byte(0xff) };
    let mut offered = Offered::new(transfers(&ground.spec, RICH, 3));
    let built =
        build_for_seal(&ground.spec, ground.parent(), &attributes, &authorship, &mut offered, &Limits::default())
            .expect("a block");
    let header = &built.block.header;
    assert_eq!((header.beneficiary, header.difficulty, header.nonce), (PAYEE, U256::from(2), B64::repeat_byte(0xff)));
    assert_eq!((header.extra_data.len(), built.fees), (97, U256::from(3 * 21_000 * TIP as u64)));
    assert!(ground.state.account(&AUTHOR).expect("a state").is_none());
}
