//! A thousand funded accounts under Osaka's rules, and a row of ten transfers from each, for two clients at once.

use std::path::{Path, PathBuf};

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, keccak256};
use serde_json::{Value, json};
use starling_primitives::NodeKey;

use super::{GETH_CACHE, geth_program};
use crate::Outcome;
use crate::http::Client;
use crate::interop::geth::{Geth, Setup};
use crate::node::{Home, Node};

const ACCOUNTS: u64 = 1_000;
const TRANSACTIONS_EACH: u64 = 10;
/// Of every block.
pub(super) const GAS_LIMIT: u64 = 60_000_000;
/// Its chain id.
pub(crate) const CHAIN_ID: u64 = 7_331;
/// Of the first block, in wei.
pub(crate) const BASE_FEE: u128 = 1_000_000_000;
/// Transactions of one batch request.
const BATCH: usize = 500;
/// Both pools hold all of them.
const POOL_FLAGS: &[&str] = &["--txpool.globalslots", "20000", "--txpool.accountslots", "16"];
/// The beacon root of every block.
const BEACON_ROOT: B256 = B256::ZERO;

/// A fresh geth and a fresh node on the same genesis.
pub(super) struct Pair {
    pub(super) geth: Geth,
    pub(super) node: Node,
    _home: Home,
}

impl Pair {
    pub(super) fn start() -> Outcome<Self> {
        let home = Home::new()?;
        let genesis = home.beside("genesis.json");
        std::fs::write(&genesis, genesis_text()).map_err(|error| format!("genesis.json: {error}"))?;
        home.run("init", &[&genesis])?;
        let node = Node::start(&home, POOL_FLAGS)?;
        let geth = geth(&geth_program()?, &genesis)?;
        Ok(Self { geth, node, _home: home })
    }

    /// geth's and ours: JSON-RPC, Engine API, process id.
    pub(super) fn sides(&self) -> [(&Client, &Client, u32); 2] {
        [(&self.geth.http, &self.geth.engine, self.geth.pid()), (&self.node.http, &self.node.engine, self.node.pid())]
    }
}

fn geth(program: &Path, genesis: &Path) -> Outcome<Geth> {
    let setup = Setup { program: PathBuf::from(program), genesis: genesis.into(), chain: None, peers: false };
    Geth::start_with(&setup, &[POOL_FLAGS, GETH_CACHE].concat())
}

/// Requests that hand over all transactions, in their order.
pub(super) fn batches(transactions: &[Bytes]) -> Vec<Value> {
    let call = |raw| json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_sendRawTransaction", "params": [raw] });
    transactions.chunks(BATCH).map(|batch| batch.iter().map(call).collect()).collect()
}

/// Sends a batch; an error if one of its transactions is refused.
pub(super) fn send(client: &Client, batch: &Value) -> Outcome {
    let answers = client.send(batch)?;
    let answers = answers.as_array().ok_or_else(|| format!("{}: {answers}", client.url()))?;
    match answers.iter().find(|answer| !answer["error"].is_null()) {
        Some(answer) => Err(format!("{} does not take a transaction: {answer}", client.url())),
        None => Ok(()),
    }
}

/// Pending transactions.
pub(super) fn pending(client: &Client) -> Outcome<usize> {
    let status = client.result("txpool_status", json!([]))?;
    let pending =
        status["pending"].as_str().and_then(|hex| usize::from_str_radix(hex.trim_start_matches("0x"), 16).ok());
    pending.ok_or_else(|| format!("{}: {status}", client.url()))
}

/// The request for a block out of the pool on the head, as text: what is timed is its answer alone.
pub(super) fn build_request(client: &Client) -> Outcome<String> {
    let head = client.result("eth_getBlockByNumber", json!(["latest", false]))?;
    let attributes = json!({
        "timestamp": "0xc", "prevRandao": B256::ZERO, "suggestedFeeRecipient": Address::repeat_byte(0xaa),
        "withdrawals": [], "parentBeaconBlockRoot": BEACON_ROOT,
    });
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "testing_buildBlockV1",
        "params": [head["hash"], attributes, null, "0x"] });
    Ok(request.to_string())
}

/// The arguments of `engine_newPayloadV4` for a block that was built.
pub(super) fn payload_params(built: &Value) -> Value {
    json!([built["executionPayload"], [], BEACON_ROOT, built["executionRequests"]])
}

/// The accounts.
pub(crate) fn keys() -> impl Iterator<Item = (NodeKey, Address)> {
    (0..ACCOUNTS).map(|index| {
        // Hashes of small numbers are keys: below the order of the curve, but for one in 2^127.
        let key = NodeKey::from_bytes(&keccak256(format!("key {index}"))).expect("a key");
        let address = Address::from_raw_public_key(key.public().as_slice());
        (key, address)
    })
}

/// All forks up to Osaka from the start.
pub(crate) fn genesis_text() -> String {
    let mut alloc = serde_json::Map::new();
    for (_, address) in keys() {
        alloc.insert(address.to_string(), json!({ "balance": "0x3635c9adc5dea00000" }));
    }
    for (address, code) in [
        (alloy_eips::eip4788::BEACON_ROOTS_ADDRESS, &alloy_eips::eip4788::BEACON_ROOTS_CODE),
        (alloy_eips::eip2935::HISTORY_STORAGE_ADDRESS, &alloy_eips::eip2935::HISTORY_STORAGE_CODE),
        (
            alloy_eips::eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
            &alloy_eips::eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_CODE,
        ),
        (
            alloy_eips::eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
            &alloy_eips::eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_CODE,
        ),
    ] {
        alloc.insert(address.to_string(), json!({ "balance": "0x0", "nonce": "0x1", "code": code }));
    }
    let mut config = json!({ "chainId": CHAIN_ID, "terminalTotalDifficulty": 0, "shanghaiTime": 0, "cancunTime": 0,
        "pragueTime": 0, "osakaTime": 0, "depositContractAddress": Address::ZERO, "blobSchedule": {} });
    for block in [
        "homestead",
        "eip150",
        "eip155",
        "eip158",
        "byzantium",
        "constantinople",
        "petersburg",
        "istanbul",
        "berlin",
        "london",
    ] {
        config[format!("{block}Block")] = json!(0);
    }
    for (fork, target, max, fraction) in
        [("cancun", 3, 6, 3_338_477), ("prague", 6, 9, 5_007_716), ("osaka", 6, 9, 5_007_716)]
    {
        config["blobSchedule"][fork] = json!({ "target": target, "max": max, "baseFeeUpdateFraction": fraction });
    }
    json!({ "config": config, "alloc": alloc, "gasLimit": format!("{GAS_LIMIT:#x}"), "difficulty": "0x0",
        "timestamp": "0x0", "baseFeePerGas": format!("{BASE_FEE:#x}") })
    .to_string()
}

/// The transactions as they are sent, each account's in order.
pub(super) fn transactions() -> Vec<Bytes> {
    let mut transactions = Vec::new();
    for (index, (key, _)) in keys().enumerate() {
        for nonce in 0..TRANSACTIONS_EACH {
            // Tips rise and fall along the rows, so that the order is not that of the accounts.
            let tip = 1_000_000 + u128::from((index as u64 * 7_919 + nonce * 104_729) % 1_000_000);
            let tx = TxEip1559 {
                chain_id: CHAIN_ID,
                nonce,
                gas_limit: 21_000,
                max_fee_per_gas: 4 * BASE_FEE,
                max_priority_fee_per_gas: tip,
                to: TxKind::Call(Address::from_word(keccak256((index as u64 ^ nonce << 32).to_be_bytes()))),
                value: U256::from(1),
                ..Default::default()
            };
            let [signature @ .., parity] = key.sign_recoverable(&tx.signature_hash());
            let signature = Signature::from_bytes_and_parity(&signature, parity == 1);
            let signed = starling_primitives::Transaction::from(tx.into_signed(signature));
            transactions.push(signed.encoded_2718().into());
        }
    }
    transactions
}
