//! Random transactions of every type that the fork has, signed; a few of them invalid.

use super::{
    dice::Dice,
    naive::NaiveState,
    program,
    world::{GAS_LIMIT, World},
};
use alloy_consensus::{SignableTransaction, Signed, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy};
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
    eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256};
use starling_chainspec::Fork;
use starling_primitives::{NodeKey, Transaction};
use std::collections::BTreeMap;

const TRANSACTIONS_MAX: u64 = 12;
/// Chance of a transaction with something wrong, in percent.
const INVALID_PERCENT: u64 = 6;

/// The transactions that a block is made of, as offered: invalid ones are among them.
pub(super) fn transactions(dice: &mut Dice, world: &World, state: &NaiveState, base_fee: u64) -> Vec<Transaction> {
    let mut nonces: BTreeMap<Address, u64> = BTreeMap::new();
    let count = dice.below(TRANSACTIONS_MAX + 1);
    (0..count)
        .map(|_| {
            let (key, sender) = dice.pick(&world.keys);
            let nonce = nonces.entry(*sender).or_insert_with(|| state.nonce(sender));
            let mut draft = Draft::new(dice, world, *nonce, base_fee);
            if dice.chance(INVALID_PERCENT) {
                draft.spoil(dice, state.balance(sender));
            } else {
                *nonce += 1;
            }
            draft.sign(dice, world, key)
        })
        .collect()
}

/// What all types have.
#[derive(Debug)]
struct Draft {
    nonce: u64,
    gas_limit: u64,
    fee_cap: u128,
    tip_cap: u128,
    to: TxKind,
    value: U256,
    input: Bytes,
}

impl Draft {
    fn new(dice: &mut Dice, world: &World, nonce: u64, base_fee: u64) -> Self {
        let fee_cap = u128::from(base_fee) + u128::from(dice.below(1_000_000));
        let mut draft = Self {
            nonce,
            gas_limit: dice.between(60_000, 1_500_000),
            fee_cap,
            tip_cap: u128::from(dice.below(1_000_000)).min(fee_cap),
            to: TxKind::Call(*dice.pick(&world.addresses)),
            value: if dice.chance(40) { U256::from(dice.below(1_000_000)) } else { U256::ZERO },
            input: dice.bytes(100),
        };
        match dice.below(10) {
            0 | 1 => {
                let code = program::program(dice, world.setting());
                draft.to = TxKind::Create;
                draft.input = program::init_code(dice, world.setting(), &code);
            }
            2 => draft.to = TxKind::Call(Address::with_last_byte(dice.below(20) as u8)),
            3 if world.fork >= Fork::Prague => draft.request(dice),
            _ => {}
        }
        draft
    }

    /// A request to the consensus layer: a withdrawal or a consolidation.
    fn request(&mut self, dice: &mut Dice) {
        let (contract, len) =
            *dice.pick(&[(WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, 56), (CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, 96)]);
        self.to = TxKind::Call(contract);
        self.value = U256::from(dice.below(5));
        self.input = (0..len).map(|_| dice.below(256) as u8).collect();
    }

    fn spoil(&mut self, dice: &mut Dice, balance: U256) {
        match dice.below(6) {
            0 => self.nonce += 1,
            1 => self.nonce = self.nonce.wrapping_sub(1) & (u64::MAX >> 2),
            2 => self.gas_limit = dice.below(25_000),
            3 => self.gas_limit = GAS_LIMIT + 1,
            4 => self.value = balance,
            _ => (self.fee_cap, self.tip_cap) = (self.fee_cap / 2, self.tip_cap.min(self.fee_cap / 2)),
        }
    }

    fn sign(self, dice: &mut Dice, world: &World, key: &NodeKey) -> Transaction {
        let Self { nonce, gas_limit, fee_cap, tip_cap, to, value, input } = self;
        let chain_id = world.spec.chain_id;
        let called = to.to().copied();
        let kinds = [
            (Fork::Frontier, Kind::Legacy),
            (Fork::Berlin, Kind::AccessList),
            (Fork::London, Kind::DynamicFee),
            (Fork::Cancun, Kind::Blobs),
            (Fork::Prague, Kind::Code),
        ];
        let kinds: Vec<Kind> =
            kinds.into_iter().filter(|(since, _)| *since <= world.fork).map(|(_, kind)| kind).collect();
        match (*dice.pick(&kinds), called) {
            (Kind::Legacy, _) => {
                let protected = world.fork >= Fork::SpuriousDragon && dice.chance(80);
                let chain_id = protected.then_some(chain_id);
                sign(key, TxLegacy { chain_id, nonce, gas_price: fee_cap, gas_limit, to, value, input })
            }
            (Kind::AccessList, _) => {
                let access_list = access_list(dice, world);
                sign(key, TxEip2930 { chain_id, nonce, gas_price: fee_cap, gas_limit, to, value, access_list, input })
            }
            (Kind::Blobs, Some(to)) => sign(
                key,
                TxEip4844 {
                    chain_id,
                    nonce,
                    gas_limit,
                    max_fee_per_gas: fee_cap,
                    max_priority_fee_per_gas: tip_cap,
                    to,
                    value,
                    access_list: access_list(dice, world),
                    blob_versioned_hashes: (0..dice.between(1, 3)).map(|_| blob_hash(dice)).collect(),
                    max_fee_per_blob_gas: u128::from(dice.between(1, 1_000_000_000)),
                    input,
                },
            ),
            (Kind::Code, Some(to)) => sign(
                key,
                TxEip7702 {
                    chain_id,
                    nonce,
                    gas_limit,
                    max_fee_per_gas: fee_cap,
                    max_priority_fee_per_gas: tip_cap,
                    to,
                    value,
                    access_list: access_list(dice, world),
                    authorization_list: (0..dice.between(1, 3)).map(|_| authorization(dice, world, nonce)).collect(),
                    input,
                },
            ),
            (Kind::DynamicFee | Kind::Blobs | Kind::Code, _) => sign(
                key,
                TxEip1559 {
                    chain_id,
                    nonce,
                    gas_limit,
                    max_fee_per_gas: fee_cap,
                    max_priority_fee_per_gas: tip_cap,
                    to,
                    value,
                    access_list: access_list(dice, world),
                    input,
                },
            ),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Legacy,
    AccessList,
    DynamicFee,
    Blobs,
    Code,
}

fn access_list(dice: &mut Dice, world: &World) -> AccessList {
    let items = (0..dice.below(3)).map(|_| AccessListItem {
        address: *dice.pick(&world.addresses),
        storage_keys: (0..dice.below(4)).map(|_| B256::from(U256::from(dice.below(6)))).collect(),
    });
    AccessList(items.collect())
}

fn blob_hash(dice: &mut Dice) -> B256 {
    let mut hash = dice.hash();
    hash[0] = 1;
    hash
}

/// An account lets another's code run for it. A few have the wrong chain or nonce and count for nothing.
fn authorization(dice: &mut Dice, world: &World, sender_nonce: u64) -> SignedAuthorization {
    let (key, _) = dice.pick(&world.keys);
    let address = match dice.below(8) {
        0 => Address::ZERO,
        1 => Address::with_last_byte(dice.below(20) as u8),
        _ => *dice.pick(&world.addresses),
    };
    let authorization = Authorization {
        chain_id: U256::from(*dice.pick(&[0, 1, 1, 1, 2])),
        address,
        nonce: *dice.pick(&[sender_nonce, sender_nonce + 1, sender_nonce + 2, 0, 1]),
    };
    let signature = signature(key, authorization.signature_hash());
    authorization.into_signed(signature)
}

fn sign<T: SignableTransaction<Signature>>(key: &NodeKey, tx: T) -> Transaction
where
    Transaction: From<Signed<T>>,
{
    let signature = signature(key, tx.signature_hash());
    tx.into_signed(signature).into()
}

fn signature(key: &NodeKey, hash: B256) -> Signature {
    let [bytes @ .., parity] = key.sign_recoverable(&hash);
    Signature::from_bytes_and_parity(&bytes, parity == 1)
}
