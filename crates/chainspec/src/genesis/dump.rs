//! Writing a specification as geth's JSON.

use crate::{Activation, ChainSpec, Consensus, Fork};
use alloy_primitives::U256;
use starling_primitives::{Account, MemoryState};
use std::{collections::BTreeMap, fmt::Write};

impl ChainSpec {
    /// The chain configuration as geth writes it, in one line: what is stored beside a chain, and
    /// [`ChainSpec::from_config_json`] reads.
    pub fn config_json(&self) -> String {
        let mut config = Object::default();
        config.number("chainId", self.chain_id);
        for (fork, activation) in &self.forks {
            let (Activation::Block(at) | Activation::Time(at)) = *activation;
            if let Some(key) = fork.config_key() {
                config.number(key, at);
            }
            match fork {
                Fork::Dao => config.raw("daoForkSupport", "true"),
                Fork::SpuriousDragon => config.number("eip155Block", at),
                _ => {}
            }
        }
        if let Some(block) = self.dao_fork_refused_block {
            config.number("daoForkBlock", block);
            config.raw("daoForkSupport", "false");
        }
        if let Some(block) = self.merge_netsplit_block {
            config.number("mergeNetsplitBlock", block);
        }
        if let Some(difficulty) = self.consensus.terminal_total_difficulty() {
            config.raw("terminalTotalDifficulty", &difficulty.to_string());
        }
        match self.consensus {
            Consensus::Ethereum { .. } => config.raw("ethash", "{}"),
            Consensus::Clique { period, epoch, .. } => {
                config.raw("clique", &format!(r#"{{"period":{period},"epoch":{epoch}}}"#));
            }
            Consensus::Dev => config.raw("dev", "{}"),
        }
        if let Some(address) = self.deposit_contract {
            config.string("depositContractAddress", address);
        }
        if !self.blob_schedule.is_empty() {
            config.raw("blobSchedule", &self.blob_schedule_json());
        }
        config.close()
    }

    /// The whole genesis file: configuration, header fields, accounts.
    pub fn genesis_json(&self) -> String {
        let header = &self.genesis_header;
        let mut genesis = Object::default();
        genesis.raw("config", &self.config_json());
        genesis.string("nonce", format_args!("0x{:x}", u64::from(header.nonce)));
        genesis.hex("timestamp", header.timestamp);
        genesis.string("extraData", &header.extra_data);
        genesis.hex("gasLimit", header.gas_limit);
        genesis.string("difficulty", format_args!("{:#x}", header.difficulty));
        genesis.string("mixHash", header.mix_hash);
        genesis.string("coinbase", header.beneficiary);
        genesis.hex("number", header.number);
        genesis.hex("gasUsed", header.gas_used);
        genesis.string("parentHash", header.parent_hash);
        for (key, value) in [
            ("baseFeePerGas", header.base_fee_per_gas),
            ("blobGasUsed", header.blob_gas_used),
            ("excessBlobGas", header.excess_blob_gas),
            ("slotNumber", header.slot_number),
        ] {
            if let Some(value) = value {
                genesis.hex(key, value);
            }
        }
        genesis.raw("alloc", &alloc_json(&self.genesis_state));
        genesis.close()
    }

    fn blob_schedule_json(&self) -> String {
        let mut entries = Object::default();
        for (fork, schedule) in &self.blob_schedule {
            let mut entry = Object::default();
            entry.number("target", schedule.target);
            entry.number("max", schedule.max);
            entry.number("baseFeeUpdateFraction", schedule.base_fee_update_fraction);
            entries.raw(fork.name(), &entry.close());
        }
        entries.close()
    }
}

fn alloc_json(state: &MemoryState) -> String {
    let mut accounts = Object::default();
    for (address, (account, storage)) in &state.accounts {
        accounts.raw(&format!("{address:#x}"), &account_json(state, account, storage));
    }
    accounts.close()
}

fn account_json(state: &MemoryState, account: &Account, storage: &BTreeMap<U256, U256>) -> String {
    let mut entry = Object::default();
    entry.string("balance", format_args!("{:#x}", account.balance));
    if account.nonce != 0 {
        entry.hex("nonce", account.nonce);
    }
    if let Some(code) = state.codes.get(&account.code_hash).filter(|code| !code.is_empty()) {
        entry.string("code", code);
    }
    if !storage.is_empty() {
        let mut slots = Object::default();
        for (slot, value) in storage {
            slots.string(&format!("{slot:#066x}"), format_args!("{value:#066x}"));
        }
        entry.raw("storage", &slots.close());
    }
    entry.close()
}

/// A JSON object in the making. Written by hand because a total difficulty is a number that `serde_json`
/// would make a float, and because the order of fields is for people. No key or value needs escaping.
#[derive(Default)]
struct Object(String);

impl Object {
    fn raw(&mut self, key: &str, json: &str) {
        let comma = if self.0.is_empty() { "" } else { "," };
        // writing to a String does not fail
        let _ = write!(self.0, r#"{comma}"{key}":{json}"#);
    }

    fn number(&mut self, key: &str, value: u64) {
        self.raw(key, &value.to_string());
    }

    fn string(&mut self, key: &str, value: impl std::fmt::Display) {
        self.raw(key, &format!(r#""{value}""#));
    }

    fn hex(&mut self, key: &str, value: u64) {
        self.string(key, format_args!("{value:#x}"));
    }

    fn close(self) -> String {
        format!("{{{}}}", self.0)
    }
}
