use alloy_consensus::{Transaction as _, Typed2718, constants::LEGACY_TX_TYPE_ID};
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip7702::{RecoveredAuthority, RecoveredAuthorization, SignedAuthorization},
};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use revm::{
    context::{BlockEnv, CfgEnv, TransactionType, TxEnv, either::Either},
    context_interface::{block::BlobExcessGasAndPrice, cfg::GasId},
    primitives::hardfork::SpecId,
};
use starling_chainspec::{ChainSpec, Consensus, Fork};
use starling_primitives::{Header, Transaction, recover_address};

/// Most blobs in one transaction since Osaka (EIP-7594).
const BLOBS_PER_TX_MAX_OSAKA: u64 = 6;

/// Half of the order of secp256k1: an authorization's s may not be above (EIP-7702).
const SECP256K1_HALF_ORDER: U256 = alloy_eips::eip7702::constants::SECP256K1N_HALF;

/// The rules and the environment of one block, in the library's terms.
#[derive(Debug, Clone)]
pub(crate) struct BlockRules {
    pub(crate) fork: Fork,
    pub(super) cfg: CfgEnv,
    pub(super) block: BlockEnv,
    pub(super) net_metered_sstore: bool,
    pub(super) unknown_hash_is_zero: bool,
}

/// What a call, unlike a transaction in a block, does without.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallMode {
    /// No fee field is given: no base fee either.
    pub(crate) free: bool,
    /// No blob fee cap is given: no blob base fee either.
    pub(crate) blobs_free: bool,
}

impl BlockRules {
    /// Rules for running a block: `author` receives the fees.
    pub(crate) fn of_block(spec: &ChainSpec, header: &Header, author: Address) -> Self {
        let fork = spec.fork_of(header);
        let spec_id = spec_id(fork);
        let mut cfg = CfgEnv::default();
        cfg.set_spec_and_mainnet_gas_params(spec_id);
        cfg.chain_id = spec.chain_id;
        // A development chain lets contracts be impersonated.
        cfg.disable_eip3607 = spec.consensus == Consensus::Dev;
        let net_metered_sstore = fork == Fork::Constantinople;
        if net_metered_sstore {
            // All of SSTORE's price is in our own accounting.
            cfg.gas_params.override_gas([(GasId::sstore_static(), 0)]);
        }
        let schedule = spec.blob_schedule_at(header);
        cfg.max_blobs_per_tx = schedule.map(|schedule| match fork {
            fork if fork >= Fork::Osaka => schedule.max.min(BLOBS_PER_TX_MAX_OSAKA),
            _ => schedule.max,
        });
        let blob = schedule.map(|schedule| {
            let excess_blob_gas = header.excess_blob_gas.unwrap_or_default();
            let blob_gasprice = schedule.base_fee(excess_blob_gas);
            BlobExcessGasAndPrice { excess_blob_gas, blob_gasprice }
        });
        let block = BlockEnv {
            number: U256::from(header.number),
            beneficiary: author,
            timestamp: U256::from(header.timestamp),
            gas_limit: header.gas_limit,
            basefee: header.base_fee_per_gas.unwrap_or_default(),
            difficulty: header.difficulty,
            prevrandao: (fork >= Fork::Paris).then_some(header.mix_hash),
            blob_excess_gas_and_price: blob,
            slot_num: header.slot_number.unwrap_or_default(),
        };
        Self { fork, cfg, block, net_metered_sstore, unknown_hash_is_zero: false }
    }

    /// The same rules for a call: no nonce, no sender check, no gas limit of a block or transaction.
    pub(crate) fn for_call(mut self, mode: CallMode) -> Self {
        self.unknown_hash_is_zero = true;
        self.cfg.disable_nonce_check = true;
        self.cfg.disable_eip3607 = true;
        self.cfg.disable_block_gas_limit = true;
        if self.fork < Fork::Amsterdam {
            // Later the cap limits nothing, but says what of the gas is for state (EIP-8037).
            self.cfg.tx_gas_limit_cap = Some(u64::MAX);
        }
        self.cfg.tx_chain_id_check = false;
        if mode.free {
            self.block.basefee = 0;
            self.cfg.disable_base_fee = true;
        }
        if mode.blobs_free
            && let Some(blob) = &mut self.block.blob_excess_gas_and_price
        {
            blob.blob_gasprice = 0;
        }
        self
    }

    pub(crate) fn set_difficulty(&mut self, difficulty: U256) {
        self.block.difficulty = difficulty;
    }

    pub(crate) fn set_prev_randao(&mut self, value: B256) {
        if self.block.prevrandao.is_some() {
            self.block.prevrandao = Some(value);
        }
    }

    pub(crate) fn set_blob_base_fee(&mut self, wei: u128) {
        if let Some(blob) = &mut self.block.blob_excess_gas_and_price {
            blob.blob_gasprice = wei;
        }
    }

    pub(crate) fn gas_limit(&self) -> u64 {
        self.block.gas_limit
    }
}

pub(super) fn spec_id(fork: Fork) -> SpecId {
    match fork {
        Fork::Frontier => SpecId::FRONTIER,
        Fork::Homestead | Fork::Dao => SpecId::HOMESTEAD,
        Fork::Tangerine => SpecId::TANGERINE,
        Fork::SpuriousDragon => SpecId::SPURIOUS_DRAGON,
        Fork::Byzantium => SpecId::BYZANTIUM,
        // Constantinople is Petersburg with another SSTORE: constantinople.rs.
        Fork::Constantinople | Fork::Petersburg => SpecId::PETERSBURG,
        Fork::Istanbul | Fork::MuirGlacier => SpecId::ISTANBUL,
        Fork::Berlin => SpecId::BERLIN,
        Fork::London | Fork::ArrowGlacier | Fork::GrayGlacier => SpecId::LONDON,
        Fork::Paris => SpecId::MERGE,
        Fork::Shanghai => SpecId::SHANGHAI,
        Fork::Cancun => SpecId::CANCUN,
        Fork::Prague => SpecId::PRAGUE,
        Fork::Osaka | Fork::Bpo1 | Fork::Bpo2 | Fork::Bpo3 | Fork::Bpo4 | Fork::Bpo5 => SpecId::OSAKA,
        Fork::Amsterdam => SpecId::AMSTERDAM,
    }
}

pub(super) fn transaction_env(tx: &Transaction, sender: Address) -> TxEnv {
    TxEnv {
        tx_type: tx.ty(),
        caller: sender,
        gas_limit: tx.gas_limit(),
        gas_price: tx.max_fee_per_gas(),
        kind: tx.kind(),
        value: tx.value(),
        data: tx.input().clone(),
        nonce: tx.nonce(),
        chain_id: tx.chain_id(),
        access_list: tx.access_list().cloned().unwrap_or_default(),
        gas_priority_fee: tx.max_priority_fee_per_gas(),
        blob_hashes: tx.blob_versioned_hashes().map(<[B256]>::to_vec).unwrap_or_default(),
        max_fee_per_blob_gas: tx.max_fee_per_blob_gas().unwrap_or_default(),
        authorization_list: recovered(tx.authorization_list().unwrap_or_default()),
    }
}

/// A call with all its fields decided.
#[derive(Debug, Clone, Default)]
pub(crate) struct CallTx {
    pub(crate) from: Address,
    pub(crate) to: Option<Address>,
    pub(crate) gas_limit: u64,
    pub(crate) fee_cap: u128,
    /// None: one gas price.
    pub(crate) tip_cap: Option<u128>,
    pub(crate) value: U256,
    pub(crate) input: Bytes,
    pub(crate) nonce: u64,
    pub(crate) access_list: Vec<(Address, Vec<B256>)>,
    pub(crate) blob_fee_cap: u128,
    pub(crate) blob_hashes: Vec<B256>,
    pub(crate) authorizations: Vec<SignedAuthorization>,
}

pub(super) fn call_env(call: &CallTx) -> TxEnv {
    let tx_type = match () {
        _ if !call.authorizations.is_empty() => TransactionType::Eip7702 as u8,
        _ if !call.blob_hashes.is_empty() => TransactionType::Eip4844 as u8,
        _ if call.tip_cap.is_some() => TransactionType::Eip1559 as u8,
        _ if !call.access_list.is_empty() => TransactionType::Eip2930 as u8,
        _ => LEGACY_TX_TYPE_ID,
    };
    let items = call
        .access_list
        .iter()
        .map(|(address, slots)| AccessListItem { address: *address, storage_keys: slots.clone() });
    TxEnv {
        tx_type,
        caller: call.from,
        gas_limit: call.gas_limit,
        gas_price: call.fee_cap,
        kind: call.to.map_or(TxKind::Create, TxKind::Call),
        value: call.value,
        data: call.input.clone(),
        nonce: call.nonce,
        chain_id: None,
        access_list: AccessList(items.collect()),
        // Types with two fees must have both.
        gas_priority_fee: call.tip_cap.or((tx_type >= TransactionType::Eip4844 as u8).then_some(call.fee_cap)),
        blob_hashes: call.blob_hashes.clone(),
        max_fee_per_blob_gas: call.blob_fee_cap,
        authorization_list: recovered(&call.authorizations),
    }
}

/// The authority behind an authorization; invalid ones stay in the list and are skipped when it runs.
pub(crate) fn authority(authorization: &SignedAuthorization) -> Option<Address> {
    if authorization.s() > SECP256K1_HALF_ORDER {
        return None;
    }
    let signature = authorization.signature().ok()?;
    recover_address(&signature, authorization.inner().signature_hash())
}

fn recovered(list: &[SignedAuthorization]) -> Vec<Either<SignedAuthorization, RecoveredAuthorization>> {
    list.iter()
        .map(|authorization| {
            let authority = authority(authorization).map_or(RecoveredAuthority::Invalid, RecoveredAuthority::Valid);
            Either::Right(RecoveredAuthorization::new_unchecked(authorization.inner().clone(), authority))
        })
        .collect()
}
