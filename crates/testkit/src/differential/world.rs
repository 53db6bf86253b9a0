//! Where a round takes place: a fork, accounts with keys, contracts with random programs.

use super::{
    dice::Dice,
    program::{self, Setting},
};
use alloy_eips::{eip2935, eip4788, eip7002, eip7251, eip8282};
use alloy_primitives::{Address, Bytes, U256, address, keccak256};
use starling_chainspec::{ChainSpec, Fork};
use starling_primitives::{EMPTY_ROOT_HASH, MemoryState, NodeKey};
use std::collections::BTreeMap;

/// The forks of the rounds: each that changed what blocks do.
pub(super) const FORKS: [Fork; 16] = [
    Fork::Frontier,
    Fork::Homestead,
    Fork::Tangerine,
    Fork::SpuriousDragon,
    Fork::Byzantium,
    Fork::Constantinople,
    Fork::Petersburg,
    Fork::Istanbul,
    Fork::Berlin,
    Fork::London,
    Fork::Paris,
    Fork::Shanghai,
    Fork::Cancun,
    Fork::Prague,
    Fork::Osaka,
    Fork::Amsterdam,
];

/// Contracts that the protocol calls, since their fork.
const SYSTEM_CONTRACTS: [(Fork, Address, &Bytes); 6] = [
    (Fork::Cancun, eip4788::BEACON_ROOTS_ADDRESS, &eip4788::BEACON_ROOTS_CODE),
    (Fork::Prague, eip2935::HISTORY_STORAGE_ADDRESS, &eip2935::HISTORY_STORAGE_CODE),
    (Fork::Prague, eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, &eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_CODE),
    (Fork::Prague, eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, &eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_CODE),
    (Fork::Amsterdam, eip8282::BUILDER_DEPOSIT_CONTRACT_ADDRESS, &eip8282::BUILDER_DEPOSIT_CONTRACT_CODE),
    (Fork::Amsterdam, eip8282::BUILDER_EXIT_CONTRACT_ADDRESS, &eip8282::BUILDER_EXIT_CONTRACT_CODE),
];

const KEYS: u64 = 6;
const CONTRACTS: u64 = 10;
/// Rounds with an account that a creation must not take, in percent. They are not held against geth, which knows the
/// few such accounts of Mainnet by their addresses and does not look at storage.
const STORAGE_ALONE_PERCENT: u64 = 10;
pub(super) const GAS_LIMIT: u64 = 30_000_000;
const ETHER: u64 = 1_000_000_000_000_000_000;

/// A round's chain at its genesis, and whom its transactions are from and about.
#[derive(Debug)]
pub(super) struct World {
    pub(super) spec: ChainSpec,
    pub(super) fork: Fork,
    pub(super) keys: Vec<(NodeKey, Address)>,
    /// Contracts, accounts with keys and without, the empty account.
    pub(super) addresses: Vec<Address>,
    /// Where a contract will be created lies storage without code or nonce (EIP-7610).
    pub(super) has_storage_alone: bool,
}

impl World {
    pub(super) fn setting(&self) -> Setting<'_> {
        Setting { fork: self.fork, addresses: &self.addresses }
    }

    pub(super) fn new(dice: &mut Dice) -> Self {
        let fork = *dice.pick(&FORKS);
        let keys: Vec<_> = (0..KEYS).map(key).collect();
        let contracts: Vec<_> =
            (0..CONTRACTS).map(|index| Address::from_word(keccak256(index.to_be_bytes()))).collect();
        let mut addresses: Vec<_> = keys.iter().map(|(_, address)| *address).chain(contracts.iter().copied()).collect();
        addresses.push(address!("0x00000000000000000000000000000000000e3397"));
        addresses.extend(system_contracts(fork).map(|(_, address, _)| address));

        let mut state = MemoryState::default();
        for (index, (_, address)) in keys.iter().enumerate() {
            // the last one can pay little
            let balance =
                if index + 1 == keys.len() { U256::from(ETHER / 1000) } else { U256::from(ETHER) * U256::from(1000) };
            state.insert(*address, dice.below(2) * dice.below(300), balance, Bytes::new(), BTreeMap::new());
        }
        for contract in contracts {
            let slots = (0..dice.below(4)).map(|slot| (U256::from(slot), dice.word())).collect();
            let code = program::program(dice, Setting { fork, addresses: &addresses });
            state.insert(contract, 1, U256::from(dice.below(10_000)), code, slots);
        }
        let has_storage_alone = dice.chance(STORAGE_ALONE_PERCENT);
        if has_storage_alone {
            let (_, creator) = &keys[0];
            let nonce = state.accounts.get(creator).map_or(0, |(account, _)| account.nonce);
            let taken = creator.create(nonce + dice.below(3));
            state.insert(taken, 0, U256::ONE, Bytes::new(), BTreeMap::from([(U256::ZERO, U256::ONE)]));
        }
        for (_, address, code) in system_contracts(fork) {
            state.insert(address, 1, U256::ZERO, code.clone(), BTreeMap::new());
        }
        Self { spec: genesis(fork, state), fork, keys, addresses, has_storage_alone }
    }
}

fn system_contracts(fork: Fork) -> impl Iterator<Item = (Fork, Address, &'static Bytes)> {
    SYSTEM_CONTRACTS.into_iter().filter(move |(since, _, _)| *since <= fork)
}

fn key(index: u64) -> (NodeKey, Address) {
    // Hashes of small numbers are keys: below the order of the curve, but for one in 2^127.
    let key = NodeKey::from_bytes(&keccak256(format!("key {index}"))).unwrap_or_else(|_| unreachable!("a key"));
    let address = Address::from_raw_public_key(key.public().as_slice());
    (key, address)
}

fn genesis(fork: Fork, state: MemoryState) -> ChainSpec {
    let mut spec = ChainSpec::up_to(fork);
    spec.deposit_contract = Some(address!("0x00000000219ab540356cbb839cbe05303d7705fa"));
    let header = &mut spec.genesis_header;
    header.gas_limit = GAS_LIMIT;
    header.difficulty = U256::from(if fork < Fork::Paris { 131_072 } else { 0 });
    header.state_root = starling_chainspec::state_root(&state);
    header.base_fee_per_gas = (fork >= Fork::London).then_some(1_000_000_000);
    header.withdrawals_root = (fork >= Fork::Shanghai).then_some(EMPTY_ROOT_HASH);
    if fork >= Fork::Cancun {
        (header.blob_gas_used, header.excess_blob_gas) = (Some(0), Some(0));
        header.parent_beacon_block_root = Some(Default::default());
    }
    header.requests_hash = (fork >= Fork::Prague).then_some(alloy_eips::eip7685::EMPTY_REQUESTS_HASH);
    if fork >= Fork::Amsterdam {
        header.block_access_list_hash = Some(keccak256([alloy_rlp::EMPTY_LIST_CODE]));
        header.slot_number = Some(0);
    }
    spec.genesis_state = state.into();
    spec
}
