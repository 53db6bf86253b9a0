//! One broken rule a case: a block that is valid but for one edit must be refused for that edit's reason.

mod common;

use alloy_consensus::{TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy};
use alloy_primitives::{B64, Bytes, U256};
use common::{
    Chain,
    forge::{child, seal_body, sign, spec},
};
use starling_chainspec::{Activation, Consensus, Fork};
use starling_primitives::{B256, Block, EMPTY_OMMER_ROOT_HASH, Header, Transaction, keccak256};
use starling_validation::{
    Ancestry, BLOCK_BYTES_MAX, CheckOptions, CliqueRule, HeaderError, OmmerRule, PreparedBlock, TransactionRule, check,
};
use std::sync::Arc;

const GAS_PER_BLOB: u64 = 131_072;

/// A block with all that its check looks at.
struct Case {
    chain: Chain,
    ancestry: Ancestry,
    block: Block,
    access_list: Option<Bytes>,
    options: CheckOptions,
}

impl Case {
    /// The first block of a chain of one fork.
    fn new(fork: Fork) -> Self {
        Self::on(Chain::new(spec(fork)))
    }

    /// The ninth block of a chain of one fork.
    fn late(fork: Fork) -> Self {
        let mut chain = Chain::new(spec(fork));
        for _ in 0..8 {
            let block = child(&chain.spec, &chain.ancestry().parent.1);
            chain.push(alloy_rlp::encode(block).into());
        }
        Self::on(chain)
    }

    fn on(chain: Chain) -> Self {
        let ancestry = chain.ancestry();
        let block = child(&chain.spec, &ancestry.parent.1);
        Self { chain, ancestry, block, access_list: None, options: CheckOptions::default() }
    }

    fn check(self) -> Result<(), HeaderError> {
        let spec = &self.chain.spec;
        let mut block = PreparedBlock::from_block(spec, &self.block).expect("a block that decodes");
        block.access_list = self.access_list;
        check(spec, Arc::new(block), &self.ancestry, self.options).map(|_| ())
    }

    /// An ommer that its block may carry, `age` generations back.
    fn ommer(&self, age: usize) -> Header {
        let (_, parent, _) = &self.ancestry.generations[age];
        let mut ommer = child(&self.chain.spec, parent).header;
        ommer.extra_data = Bytes::from_static(b"another");
        ommer
    }

    fn include(&mut self, ommers: Vec<Header>) {
        self.block.body.ommers = ommers;
        seal_body(&mut self.block);
    }

    fn send(&mut self, tx: Transaction) {
        self.block.body.transactions.push(tx);
        seal_body(&mut self.block);
    }
}

/// Valid before the edit, and refused for its reason after.
fn refuse(mut case: Case, edit: impl FnOnce(&mut Case), expected: HeaderError) {
    let before = Case {
        chain: Chain::new(case.chain.spec.clone()),
        ancestry: case.ancestry.clone(),
        block: case.block.clone(),
        access_list: None,
        options: CheckOptions::default(),
    };
    assert_eq!(before.check(), Ok(()), "the case that should lead to: {expected}");
    edit(&mut case);
    assert_eq!(case.check(), Err(expected));
}

fn refuse_transaction(fork: Fork, tx: Transaction, rule: TransactionRule) {
    let tx_hash = *tx.tx_hash();
    let error = HeaderError::Transaction { index: 0, tx_hash, rule };
    refuse(Case::new(fork), |case| case.send(tx), error);
}

fn refuse_ommers(ommers: impl FnOnce(&Case) -> Vec<Header>, index: usize, rule: OmmerRule) {
    let edit = |case: &mut Case| {
        let ommers = ommers(case);
        case.include(ommers);
    };
    refuse(Case::late(Fork::Byzantium), edit, HeaderError::Ommer { index, rule });
}

#[test]
fn the_forged_blocks_are_valid_in_every_fork() {
    // the ten blocks of the DAO fork need extra data of their own
    for fork in Fork::ALL.into_iter().filter(|fork| *fork != Fork::Dao) {
        assert_eq!(Case::new(fork).check(), Ok(()), "{fork}");
        assert_eq!(Case::late(fork).check(), Ok(()), "{fork}");
    }
}

#[test]
fn place() {
    let edit = |case: &mut Case| case.block.header.number = 7;
    refuse(Case::new(Fork::Frontier), edit, HeaderError::Number { got: 7, expected: 1 });
    let parent = Case::new(Fork::Prague).ancestry.parent.0;
    let edit = |case: &mut Case| case.block.header.parent_hash = B256::ZERO;
    refuse(Case::new(Fork::Prague), edit, HeaderError::ParentHash { got: B256::ZERO, expected: parent });
    let edit = |case: &mut Case| case.block.header.timestamp = 1_000;
    refuse(Case::new(Fork::London), edit, HeaderError::Timestamp { got: 1_000, parent: 1_000 });
}

#[test]
fn size() {
    let fill = |case: &mut Case| {
        case.send(sign(TxLegacy { input: vec![1; BLOCK_BYTES_MAX].into(), ..Default::default() }));
    };
    let mut case = Case::new(Fork::Osaka);
    fill(&mut case);
    let bytes = alloy_rlp::encode(&case.block).len();
    refuse(Case::new(Fork::Osaka), fill, HeaderError::Size { bytes, limit: BLOCK_BYTES_MAX });
    let mut before = Case::new(Fork::Prague);
    fill(&mut before);
    assert_eq!(before.check(), Ok(()));
}

#[test]
fn merge() {
    let terminal = U256::from(1_000_000);
    let merging = |total: u64| {
        let mut chain = Chain::new(spec(Fork::GrayGlacier));
        chain.spec.consensus = Consensus::Ethereum { terminal_total_difficulty: Some(terminal) };
        chain.total_difficulty = U256::from(total);
        chain
    };
    let stake = |case: &mut Case| case.block.header.difficulty = U256::ZERO;
    let mut below = Case::on(merging(999_999));
    let work = child(&spec(Fork::GrayGlacier), &below.ancestry.parent.1);
    below.block = work.clone();
    let total = U256::from(999_999);
    refuse(below, stake, HeaderError::BeforeMerge { total, terminal });
    let got = work.header.difficulty;
    refuse(Case::on(merging(1_000_000)), |case| case.block = work, HeaderError::DifficultyAfterMerge { got });

    let edit = |case: &mut Case| case.block.header.nonce = B64::from(5u64);
    refuse(Case::new(Fork::Paris), edit, HeaderError::NonceAfterMerge { got: 5 });
    let edit = |case: &mut Case| case.block.header.ommers_hash = B256::ZERO;
    refuse(Case::new(Fork::Paris), edit, HeaderError::OmmersAfterMerge { got: B256::ZERO });
    let mut kept = Case::new(Fork::Shanghai);
    kept.ancestry.parent_total_difficulty = None;
    assert_eq!(kept.check(), Ok(()));
}

#[test]
fn work() {
    for fork in [Fork::Frontier, Fork::Homestead, Fork::Byzantium, Fork::GrayGlacier] {
        let expected = Case::new(fork).block.header.difficulty;
        let got = expected + U256::ONE;
        let edit = |case: &mut Case| case.block.header.difficulty = got;
        refuse(Case::new(fork), edit, HeaderError::Difficulty { got, expected });
        let edit = |case: &mut Case| case.block.header.difficulty = U256::ZERO;
        refuse(Case::new(fork), edit, HeaderError::Difficulty { got: U256::ZERO, expected });
    }
}

#[test]
fn seal() {
    let mut case = Case::new(Fork::Frontier);
    case.options.seal = true;
    assert!(matches!(case.check(), Err(HeaderError::Seal(_))));
    // proof of stake has no such seal
    let mut case = Case::new(Fork::Paris);
    case.options.seal = true;
    assert_eq!(case.check(), Ok(()));
}

#[test]
fn fields() {
    type Clear = fn(&mut Header);
    let fields: [(&str, Fork, Fork, Clear, Clear); 8] = [
        ("baseFeePerGas", Fork::Berlin, Fork::London, |h| h.base_fee_per_gas = None, |h| h.base_fee_per_gas = Some(0)),
        (
            "withdrawalsRoot",
            Fork::Paris,
            Fork::Shanghai,
            |h| h.withdrawals_root = None,
            |h| h.withdrawals_root = Some(B256::ZERO),
        ),
        ("blobGasUsed", Fork::Shanghai, Fork::Cancun, |h| h.blob_gas_used = None, |h| h.blob_gas_used = Some(0)),
        ("excessBlobGas", Fork::Shanghai, Fork::Cancun, |h| h.excess_blob_gas = None, |h| h.excess_blob_gas = Some(0)),
        (
            "parentBeaconBlockRoot",
            Fork::Shanghai,
            Fork::Cancun,
            |h| h.parent_beacon_block_root = None,
            |h| h.parent_beacon_block_root = Some(B256::ZERO),
        ),
        (
            "requestsHash",
            Fork::Cancun,
            Fork::Prague,
            |h| h.requests_hash = None,
            |h| h.requests_hash = Some(B256::ZERO),
        ),
        (
            "blockAccessListHash",
            Fork::Bpo2,
            Fork::Amsterdam,
            |h| h.block_access_list_hash = None,
            |h| h.block_access_list_hash = Some(B256::ZERO),
        ),
        ("slotNumber", Fork::Bpo2, Fork::Amsterdam, |h| h.slot_number = None, |h| h.slot_number = Some(0)),
    ];
    for (field, before, since, clear, set) in fields {
        // RLP has no gaps: what cannot be encoded is checked on the header alone
        let check = |fork: Fork, edit: Clear| {
            let mut case = Case::new(fork);
            let spec = case.chain.spec.clone();
            let mut prepared = PreparedBlock::from_block(&spec, &case.block).unwrap();
            edit(&mut case.block.header);
            prepared.block.header = case.block.header;
            check(&spec, Arc::new(prepared), &case.ancestry, CheckOptions::default()).map(|_| ())
        };
        assert_eq!(check(since, clear), Err(HeaderError::FieldMissing { field, fork: since }));
        assert_eq!(check(before, set), Err(HeaderError::FieldUnexpected { field, fork: before }));
    }
}

#[test]
fn gas() {
    let limit = 30_000_000;
    let edit = |case: &mut Case| case.block.header.gas_used = limit + 1;
    refuse(Case::new(Fork::Istanbul), edit, HeaderError::GasUsedAboveLimit { used: limit + 1, limit });

    let step = limit / 1_024;
    for got in [limit + step, limit - step] {
        let edit = |case: &mut Case| case.block.header.gas_limit = got;
        refuse(Case::new(Fork::Prague), edit, HeaderError::GasLimitStep { got, parent: limit });
    }
    for got in [limit + step - 1, limit - step + 1] {
        let mut case = Case::new(Fork::Prague);
        case.block.header.gas_limit = got;
        assert_eq!(case.check(), Ok(()));
    }

    let (min, max) = (5_000, i64::MAX as u64);
    for (parent, got) in [(min, min - 1), (max, max + 1)] {
        let mut spec = spec(Fork::Frontier);
        spec.genesis_header.gas_limit = parent;
        let edit = |case: &mut Case| case.block.header.gas_limit = got;
        refuse(Case::on(Chain::new(spec)), edit, HeaderError::GasLimitBounds { got, min, max });
    }
}

#[test]
fn london_doubles_the_gas_limit() {
    let at_fork = || {
        let mut spec = spec(Fork::London);
        spec.forks.retain(|(fork, _)| *fork < Fork::London);
        spec.forks.push((Fork::London, Activation::Block(1)));
        spec.genesis_header.base_fee_per_gas = None;
        let mut case = Case::on(Chain::new(spec));
        case.block.header.gas_limit *= 2;
        case
    };
    assert_eq!(at_fork().block.header.base_fee_per_gas, Some(1_000_000_000));
    let edit = |case: &mut Case| case.block.header.gas_limit /= 2;
    refuse(at_fork(), edit, HeaderError::GasLimitStep { got: 30_000_000, parent: 60_000_000 });
}

#[test]
fn base_fee() {
    // an empty parent lowers it by an eighth
    let edit = |case: &mut Case| case.block.header.base_fee_per_gas = Some(1_000_000_000);
    refuse(Case::new(Fork::London), edit, HeaderError::BaseFee { got: 1_000_000_000, expected: 875_000_000 });
    let expected = |used: u64, base_fee: u64| {
        starling_validation::next_base_fee(&Header {
            gas_limit: 20_000_000,
            gas_used: used,
            base_fee_per_gas: Some(base_fee),
            ..Default::default()
        })
    };
    assert_eq!(expected(10_000_000, 1_000), 1_000);
    assert_eq!(expected(20_000_000, 1_000), 1_125);
    assert_eq!(expected(9_000_000, 1_000), 988);
    assert_eq!(expected(10_000_001, 7), 8);
    assert_eq!(expected(0, 7), 7);
}

#[test]
fn extra_data() {
    let edit = |case: &mut Case| case.block.header.extra_data = vec![0; 33].into();
    refuse(Case::new(Fork::Cancun), edit, HeaderError::ExtraDataLength { bytes: 33, limit: 32 });

    let dao = |block, supported: bool| {
        let mut chain = Chain::new(spec(Fork::Homestead));
        if supported {
            chain.spec.forks.push((Fork::Dao, Activation::Block(block)));
        } else {
            chain.spec.dao_fork_refused_block = Some(block);
        }
        Case::on(chain)
    };
    let says: Bytes = Bytes::from_static(b"dao-hard-fork");
    let mut took = dao(1, true);
    took.block.header.extra_data = says.clone();
    let silence = |case: &mut Case| case.block.header.extra_data = Bytes::new();
    refuse(took, silence, HeaderError::DaoExtraData { got: Bytes::new(), supported: true });
    let say = |case: &mut Case| case.block.header.extra_data = says.clone();
    refuse(dao(1, false), say, HeaderError::DaoExtraData { got: says.clone(), supported: false });
    assert_eq!(dao(2, true).check(), Ok(()));
}

#[test]
fn blob_gas() {
    let edit = |case: &mut Case| case.block.header.excess_blob_gas = Some(1);
    refuse(Case::new(Fork::Cancun), edit, HeaderError::ExcessBlobGas { got: 1, expected: 0 });
    let used = 7 * GAS_PER_BLOB;
    let edit = |case: &mut Case| case.block.header.blob_gas_used = Some(used);
    refuse(Case::new(Fork::Cancun), edit, HeaderError::BlobGasAboveLimit { used, limit: 6 * GAS_PER_BLOB });
    let edit = |case: &mut Case| case.send(blobs(vec![1, 1]));
    let computed = 2 * GAS_PER_BLOB;
    refuse(Case::new(Fork::Prague), edit, HeaderError::BlobGasUsed { got: 0, computed });
}

/// EIP-7918: below the reserve price the excess moves by a part of what was used, and not towards the target.
#[test]
fn blob_reserve_price() {
    let next = |fork: Fork, base_fee| {
        let parent = Header {
            excess_blob_gas: Some(20 * GAS_PER_BLOB),
            blob_gas_used: Some(3 * GAS_PER_BLOB),
            base_fee_per_gas: Some(base_fee),
            ..Default::default()
        };
        let schedule = starling_chainspec::BlobSchedule::default_of(fork).unwrap();
        starling_validation::next_excess_blob_gas(fork, schedule, &parent)
    };
    assert_eq!(next(Fork::Prague, 1_000_000_000), 17 * GAS_PER_BLOB);
    assert_eq!(next(Fork::Osaka, 1_000_000_000), 21 * GAS_PER_BLOB);
    assert_eq!(next(Fork::Osaka, 1), 17 * GAS_PER_BLOB);
}

#[test]
fn bodies() {
    let root = B256::repeat_byte(1);
    let edit = |case: &mut Case| case.block.header.transactions_root = root;
    let computed = starling_primitives::EMPTY_ROOT_HASH;
    refuse(Case::new(Fork::Berlin), edit, HeaderError::TransactionsRoot { got: root, computed });
    let edit = |case: &mut Case| case.block.header.withdrawals_root = Some(root);
    refuse(Case::new(Fork::Shanghai), edit, HeaderError::WithdrawalsRoot { got: root, computed });
    let edit = |case: &mut Case| case.block.header.ommers_hash = root;
    let computed = EMPTY_OMMER_ROOT_HASH;
    refuse(Case::new(Fork::Berlin), edit, HeaderError::OmmersHash { got: root, computed });
    let edit = |case: &mut Case| case.block.body.withdrawals = None;
    refuse(Case::new(Fork::Shanghai), edit, HeaderError::WithdrawalsMissing);
    let edit = |case: &mut Case| case.block.body.withdrawals = Some(Default::default());
    refuse(Case::new(Fork::Paris), edit, HeaderError::WithdrawalsUnexpected);
}

#[test]
fn access_list_beside_the_block() {
    let list = Bytes::from_static(&[0xc1, 0xc0]);
    let (got, computed) = (keccak256([0xc0]), keccak256(&list));
    let edit = |case: &mut Case| case.access_list = Some(list.clone());
    refuse(Case::new(Fork::Amsterdam), edit, HeaderError::AccessListHash { got, computed });
    let unexpected = HeaderError::FieldUnexpected { field: "blockAccessList", fork: Fork::Osaka };
    refuse(Case::new(Fork::Osaka), edit, unexpected);
    let mut same = Case::new(Fork::Amsterdam);
    same.access_list = Some(Bytes::from_static(&[0xc0]));
    assert_eq!(same.check(), Ok(()));
}

fn blobs(versions: Vec<u8>) -> Transaction {
    let blob_versioned_hashes = versions
        .into_iter()
        .map(B256::with_last_byte)
        .map(|hash| B256::from(U256::from_be_bytes(hash.0) << 248))
        .collect();
    sign(TxEip4844 { chain_id: 1, blob_versioned_hashes, ..Default::default() })
}

#[test]
fn transactions() {
    use TransactionRule::*;
    let typed = [
        (sign(TxEip2930 { chain_id: 1, ..Default::default() }), Fork::Istanbul, 1, Fork::Berlin),
        (sign(TxEip1559 { chain_id: 1, ..Default::default() }), Fork::Berlin, 2, Fork::London),
        (blobs(vec![1]), Fork::Shanghai, 3, Fork::Cancun),
        (sign(TxEip7702 { chain_id: 1, ..Default::default() }), Fork::Cancun, 4, Fork::Prague),
    ];
    for (tx, fork, tx_type, since) in typed {
        refuse_transaction(fork, tx, TypeBeforeFork { tx_type, since });
    }
    let protected = |chain_id| sign(TxLegacy { chain_id: Some(chain_id), ..Default::default() });
    refuse_transaction(Fork::Tangerine, protected(1), ReplayProtection);
    refuse_transaction(Fork::SpuriousDragon, protected(2), ChainId { got: 2, expected: 1 });
    let other_chain = sign(TxEip1559 { chain_id: 3, ..Default::default() });
    refuse_transaction(Fork::London, other_chain, ChainId { got: 3, expected: 1 });
    refuse_transaction(Fork::Cancun, blobs(vec![]), NoBlobs);
    refuse_transaction(Fork::Cancun, blobs(vec![1, 2]), BlobVersion { version: 2 });
    refuse_transaction(Fork::Osaka, blobs(vec![1; 7]), TooManyBlobs { count: 7, limit: 6 });
    let mut plain = Case::new(Fork::SpuriousDragon);
    plain.send(protected(1));
    plain.send(sign(TxLegacy::default()));
    assert_eq!(plain.check(), Ok(()));
}

#[test]
fn ommers() {
    let mut six = Case::late(Fork::Byzantium);
    let two = vec![six.ommer(1), six.ommer(6)];
    six.include(two);
    assert_eq!(six.check(), Ok(()));

    let three = |case: &mut Case| case.include(vec![case.ommer(1), case.ommer(2), case.ommer(3)]);
    refuse(Case::late(Fork::Byzantium), three, HeaderError::OmmersCount { count: 3 });
    refuse_ommers(|case| vec![case.ommer(1), case.ommer(1)], 1, OmmerRule::Twice);
    refuse_ommers(|case| vec![case.ancestry.generations[3].1.clone()], 0, OmmerRule::Ancestor);
    refuse_ommers(|case| vec![case.ommer(0)], 0, OmmerRule::Sibling);
    let stranger = |case: &Case| vec![Header { parent_hash: B256::ZERO, ..case.ommer(2) }];
    refuse_ommers(stranger, 0, OmmerRule::ParentNotAncestor);
    let bad = |case: &Case| vec![Header { number: 99, ..case.ommer(2) }];
    let number = HeaderError::Number { got: 99, expected: 7 };
    refuse_ommers(bad, 0, OmmerRule::Header(Box::new(number)));
    let included = |case: &mut Case| {
        let ommer = case.ommer(3);
        case.ancestry.generations[1].2.push(ommer.hash_slow());
        case.include(vec![ommer]);
    };
    refuse(Case::late(Fork::Byzantium), included, HeaderError::Ommer { index: 0, rule: OmmerRule::Included });
}

/// The seventh generation back is too far, however long the ancestry that the caller hands over.
#[test]
fn ommers_too_old() {
    let mut chain = Chain::new(spec(Fork::Byzantium));
    let mut headers = vec![chain.ancestry().parent];
    for _ in 0..9 {
        let block = child(&chain.spec, &chain.ancestry().parent.1);
        chain.push(alloy_rlp::encode(block).into());
        headers.insert(0, chain.ancestry().parent);
    }
    let edit = move |case: &mut Case| {
        case.ancestry.generations = headers.into_iter().map(|(hash, header)| (hash, header, Vec::new())).collect();
        case.include(vec![case.ommer(7)]);
    };
    refuse(Case::on(chain), edit, HeaderError::Ommer { index: 0, rule: OmmerRule::ParentNotAncestor });
}

#[test]
fn clique_needs_its_extra_data() {
    let mut case = Case::new(Fork::London);
    case.chain.spec.consensus = Consensus::Clique { period: 5, epoch: 30_000, terminal_total_difficulty: None };
    assert!(matches!(case.check(), Err(HeaderError::Clique(CliqueRule::ExtraDataShort { .. }))));
}
