//! Transactions for tests, signed with keys that everybody knows.

use crate::{Origin, PooledTx};
use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_eips::eip7702::{Authorization, SignedAuthorization};
use alloy_primitives::{Address, Signature, TxKind, U256};
use secp256k1::{Message, SECP256K1, SecretKey};
use starling_primitives::Transaction;
use std::time::Instant;

/// The chain that they are for.
pub(crate) const CHAIN_ID: u64 = 1337;
/// What one gas costs unless a test says otherwise, in wei.
pub(crate) const FEE_CAP: u128 = 10_000_000_000;

/// A transaction to be signed by the key of that number.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) key: u8,
    pub(crate) tx: TxEip1559,
}

/// A transfer of one wei.
pub(crate) fn transfer(key: u8, nonce: u64) -> Draft {
    let tx = TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: FEE_CAP,
        max_priority_fee_per_gas: 1_000_000_000,
        to: TxKind::Call(Address::repeat_byte(0x11)),
        value: U256::ONE,
        ..Default::default()
    };
    Draft { key, tx }
}

impl Draft {
    /// Pays so many times the usual price, in percent.
    pub(crate) fn paying(mut self, percent: u128) -> Self {
        self.tx.max_fee_per_gas = self.tx.max_fee_per_gas * percent / 100;
        self.tx.max_priority_fee_per_gas = self.tx.max_priority_fee_per_gas * percent / 100;
        self
    }

    pub(crate) fn signed(self) -> Transaction {
        sign(self.tx, self.key)
    }

    pub(crate) fn pooled(self, origin: Origin) -> PooledTx {
        let sender = address(self.key);
        PooledTx::new(self.signed(), sender, None, origin, Instant::now())
    }
}

fn secret(key: u8) -> SecretKey {
    SecretKey::from_byte_array([key; 32]).expect("a valid key")
}

/// The account of a key.
pub(crate) fn address(key: u8) -> Address {
    let public = secret(key).public_key(SECP256K1);
    Address::from_raw_public_key(&public.serialize_uncompressed()[1..])
}

fn signature(digest: [u8; 32], key: u8) -> Signature {
    let message = Message::from_digest(digest);
    let (id, bytes) = SECP256K1.sign_ecdsa_recoverable(message, &secret(key)).serialize_compact();
    let (r, s) = bytes.split_at(32);
    Signature::new(U256::from_be_slice(r), U256::from_be_slice(s), i32::from(id) & 1 == 1)
}

/// Signs what can be signed.
pub(crate) fn sign<T>(tx: T, key: u8) -> Transaction
where
    T: SignableTransaction<Signature>,
    alloy_consensus::Signed<T>: Into<Transaction>,
{
    let signature = signature(tx.signature_hash().0, key);
    tx.into_signed(signature).into()
}

/// The signed wish of an account to be delegated to some code.
pub(crate) fn authorization(key: u8) -> SignedAuthorization {
    let wish = Authorization { chain_id: U256::from(CHAIN_ID), address: Address::repeat_byte(0x22), nonce: 0 };
    let hash = wish.signature_hash();
    wish.into_signed(signature(hash.0, key))
}
