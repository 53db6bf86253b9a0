//! The same blocks through geth's transition tool, `evm t8n`, which shares no code with us.

use super::{blocks::Made, world::World};
use alloy_primitives::{B256, U256};
use serde_json::{Map, Value, json};
use starling_chainspec::Fork;
use starling_primitives::{Header, MemoryState};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// The chain of a round as the tool has it: its state is what it said itself after the last block.
#[derive(Debug)]
pub(super) struct Transition {
    evm: PathBuf,
    folder: TempDir,
    fork: &'static str,
    alloc: Value,
    block_hashes: Map<String, Value>,
}

/// The tool: STARLING_EVM, or `evm` on the PATH; none if there is none.
pub(super) fn tool() -> Option<PathBuf> {
    let named = std::env::var_os("STARLING_EVM").map(PathBuf::from);
    let on_path = || {
        let folders = std::env::var_os("PATH")?;
        std::env::split_paths(&folders).map(|folder| folder.join("evm")).find(|path| path.is_file())
    };
    named.or_else(on_path)
}

/// The tool's name for a fork; none if its rules are known to be others than ours.
fn name_of(fork: Fork) -> Option<&'static str> {
    Some(match fork {
        Fork::Frontier => "Frontier",
        Fork::Homestead => "Homestead",
        Fork::Tangerine => "EIP150",
        Fork::SpuriousDragon => "EIP158",
        Fork::Byzantium => "Byzantium",
        Fork::Constantinople => "Constantinople",
        Fork::Petersburg => "ConstantinopleFix",
        Fork::Istanbul => "Istanbul",
        Fork::Berlin => "Berlin",
        Fork::London => "London",
        Fork::Paris => "Merge",
        Fork::Shanghai => "Shanghai",
        Fork::Cancun => "Cancun",
        Fork::Prague => "Prague",
        Fork::Osaka => "Osaka",
        _ => return None,
    })
}

impl Transition {
    /// None if the tool does not know the fork as we do.
    pub(super) fn new(evm: PathBuf, world: &World) -> Result<Option<Self>, String> {
        let Some(fork) = name_of(world.fork) else { return Ok(None) };
        let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
        let mut transition =
            Self { evm, folder, fork, alloc: alloc(&world.spec.genesis_state), block_hashes: Map::new() };
        transition.note(0, world.spec.genesis_hash());
        Ok(Some(transition))
    }

    fn note(&mut self, number: u64, hash: B256) {
        self.block_hashes.insert(number.to_string(), json!(hash));
    }

    /// Runs the block's offered transactions and compares.
    ///
    /// # Errors
    /// In words, what differs.
    pub(super) fn check(&mut self, world: &World, made: &Made) -> Result<(), String> {
        let result = self.run(world, made)?;
        let header = &made.block.block.header;
        let mut expected = vec![
            ("stateRoot", json!(header.state_root)),
            ("txRoot", json!(header.transactions_root)),
            ("receiptsRoot", json!(header.receipts_root)),
            ("logsBloom", json!(header.logs_bloom)),
            ("gasUsed", json!(U256::from(header.gas_used))),
        ];
        expected.extend(header.blob_gas_used.map(|gas| ("blobGasUsed", json!(U256::from(gas)))));
        expected.extend(header.requests_hash.map(|hash| ("requestsHash", json!(hash))));
        expected.extend(header.withdrawals_root.map(|root| ("withdrawalsRoot", json!(root))));
        let refused = result["rejected"].as_array().map(Vec::as_slice).unwrap_or_default();
        let indexes: Vec<u64> = refused.iter().filter_map(|refused| refused["index"].as_u64()).collect();
        if indexes != made.refused.iter().map(|index| *index as u64).collect::<Vec<_>>() {
            return Err(format!("we refuse the transactions {:?}, evm refuses {refused:?}", made.refused));
        }
        let differs = expected.iter().filter(|(key, ours)| result[*key] != *ours);
        let differs: Vec<_> = differs.map(|(key, ours)| format!("{key}: {ours}, evm says {}", result[*key])).collect();
        if !differs.is_empty() {
            return Err(format!("{}\n{}", differs.join("\n"), self.receipts(made, &result)));
        }
        self.note(header.number, made.block.hash);
        Ok(())
    }

    /// The receipts that differ, for whoever looks for the reason.
    fn receipts(&self, made: &Made, result: &Value) -> String {
        let mut before = 0;
        let lines = made.computed.receipts.iter().enumerate().map(|(index, receipt)| {
            let ours = receipt.cumulative_gas_used - before;
            before = receipt.cumulative_gas_used;
            let theirs = &result["receipts"][index];
            format!(
                "  transaction {index}: {:?}, gas {ours:#x}, {} logs; evm: status {}, gas {}, {} logs",
                receipt.outcome,
                receipt.logs.len(),
                theirs["status"],
                theirs["gasUsed"],
                theirs["logs"].as_array().map_or(0, Vec::len),
            )
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    fn run(&mut self, world: &World, made: &Made) -> Result<Value, String> {
        let folder = self.folder.path();
        let header = &made.block.block.header;
        write(folder, "alloc.json", &self.alloc)?;
        write(folder, "env.json", &self.environment(header, made))?;
        let transactions = format!("\"0x{}\"", hex::encode(alloy_rlp::encode(&made.offered)));
        fs::write(folder.join("txs.rlp"), transactions).map_err(|error| error.to_string())?;
        let reward = if world.fork >= Fork::Paris { U256::ZERO } else { world.spec.consensus.block_reward(world.fork) };
        let output = Command::new(&self.evm)
            .current_dir(folder)
            .args(["t8n", "--state.fork", self.fork, "--state.reward", &reward.to_string()])
            .args(["--input.alloc", "alloc.json", "--input.env", "env.json", "--input.txs", "txs.rlp"])
            .args(["--output.alloc", "after.json", "--output.result", "result.json"])
            .output()
            .map_err(|error| format!("{}: {error}", self.evm.display()))?;
        if !output.status.success() {
            return Err(format!("evm t8n failed: {}", String::from_utf8_lossy(&output.stderr).trim()));
        }
        self.alloc = read(folder, "after.json")?;
        read(folder, "result.json")
    }

    fn environment(&self, header: &Header, made: &Made) -> Value {
        let number = |number: u64| format!("{number:#x}");
        let body = &made.block.block.body;
        let mut environment = json!({
            "currentCoinbase": header.beneficiary,
            "currentDifficulty": header.difficulty,
            "currentGasLimit": number(header.gas_limit),
            "currentNumber": number(header.number),
            "currentTimestamp": number(header.timestamp),
            "blockHashes": self.block_hashes,
            "ommers": body.ommers.iter().map(|ommer| json!({
                "delta": header.number - ommer.number,
                "address": ommer.beneficiary,
            })).collect::<Vec<_>>(),
        });
        let mut set = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                environment[key] = value;
            }
        };
        set("currentBaseFee", header.base_fee_per_gas.map(|fee| json!(number(fee))));
        set("currentRandom", header.difficulty.is_zero().then(|| json!(header.mix_hash)));
        set("currentExcessBlobGas", header.excess_blob_gas.map(|gas| json!(number(gas))));
        set("parentBeaconBlockRoot", header.parent_beacon_block_root.map(|root| json!(root)));
        set("withdrawals", body.withdrawals.as_ref().map(|list| json!(list)));
        environment
    }
}

/// Accounts as the tool reads them.
fn alloc(state: &MemoryState) -> Value {
    let accounts = state.accounts.iter().map(|(address, (account, slots))| {
        let slots: Map<String, Value> =
            slots.iter().map(|(slot, value)| (B256::from(*slot).to_string(), json!(B256::from(*value)))).collect();
        let account = json!({
            "nonce": format!("{:#x}", account.nonce),
            "balance": account.balance,
            "code": state.codes.get(&account.code_hash).cloned().unwrap_or_default(),
            "storage": slots,
        });
        (address.to_string().to_lowercase(), account)
    });
    Value::Object(accounts.collect())
}

fn write(folder: &Path, name: &str, value: &Value) -> Result<(), String> {
    fs::write(folder.join(name), value.to_string()).map_err(|error| error.to_string())
}

fn read(folder: &Path, name: &str) -> Result<Value, String> {
    let text = fs::read_to_string(folder.join(name)).map_err(|error| format!("{name}: {error}"))?;
    serde_json::from_str(&text).map_err(|error| format!("{name}: {error}"))
}
