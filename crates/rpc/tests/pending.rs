//! The tag `pending`: what is in the pool shows there, and nowhere else, before any block has it.

mod common;

use alloy_primitives::{Bytes, keccak256};
use common::{finalize, served};
use serde_json::{Value, json};
use starling_rpc::{Namespace, RpcContext, RpcModule, module};
use starling_testkit::fixtures;

async fn ask(methods: &RpcModule<RpcContext>, method: &str, params: Value) -> Value {
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
    let (answer, _) = methods.raw_json_request(&request, 1).await.expect("JSON");
    let mut answer: Value = serde_json::from_str(answer.get()).expect("JSON");
    assert_eq!(answer.get("error"), None, "{method} {params}");
    answer["result"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_in_the_pool_is_in_the_pending_block() {
    let Some((chain, context)) = served() else { return };
    let Some(case) = fixtures::read("rpc-compat/eth_sendRawTransaction/send-legacy-transaction.io") else {
        return;
    };
    finalize(&context).await;
    let methods = module(context, &Namespace::ALL);
    let head = ask(&methods, "eth_getBlockByNumber", json!(["latest", false])).await;
    let empty = ask(&methods, "eth_getBlockByNumber", json!(["pending", false])).await;
    assert_eq!((&empty["parentHash"], &empty["transactions"]), (&head["hash"], &json!([])));

    let request = case.lines().find_map(|line| line.strip_prefix(">> ")).expect("a request");
    let request: Value = serde_json::from_str(request).expect("JSON");
    let hash = ask(&methods, "eth_sendRawTransaction", request["params"].clone()).await;
    let block = ask(&methods, "eth_getBlockByNumber", json!(["pending", true])).await;
    let tx = &block["transactions"][0];
    assert_eq!((&block["parentHash"], &tx["hash"]), (&head["hash"], &hash));
    assert_eq!([&block["hash"], &block["nonce"], &block["miner"]], [&Value::Null; 3], "nobody has sealed it");
    assert_eq!(ask(&methods, "eth_getBlockTransactionCountByNumber", json!(["pending"])).await, "0x1");
    let header = ask(&methods, "eth_getHeaderByNumber", json!(["pending"])).await;
    assert_eq!([&header["hash"], &header["number"]], [&Value::Null, &block["number"]]);
    let receipts = ask(&methods, "eth_getBlockReceipts", json!(["pending"])).await;
    assert_eq!([&receipts[0]["transactionHash"], &receipts[0]["gasUsed"]], [&hash, &block["gasUsed"]]);

    let from = &tx["from"];
    let number = |value: Value| u64::from_str_radix(&value.as_str().expect("hex")[2..], 16).expect("a number");
    for (method, grows) in [("eth_getTransactionCount", true), ("eth_getBalance", false)] {
        let [latest, pending] = [
            ask(&methods, method, json!([from, "latest"])).await,
            ask(&methods, method, json!([from, "pending"])).await,
        ];
        assert_ne!(latest, pending, "{method}");
        if grows {
            assert_eq!(number(latest) + 1, number(pending));
        }
    }
    let proof = ask(&methods, "eth_getProof", json!([from, [], "pending"])).await;
    let root: Bytes = serde_json::from_value(proof["accountProof"][0].clone()).expect("bytes");
    assert_eq!(json!(keccak256(root)), block["stateRoot"], "proofs lead to the root of the pending block");
    // NUMBER of a call on it: PUSH1 0 MSTORE what NUMBER says, return the word.
    let code = json!({ "to": "0x00000000000000000000000000000000000000ee" });
    let overrides = json!({ "0x00000000000000000000000000000000000000ee": { "code": "0x4360005260206000f3" } });
    let called = ask(&methods, "eth_call", json!([code, "pending", overrides])).await;
    assert!(called.as_str().expect("hex").ends_with(block["number"].as_str().expect("hex").trim_start_matches("0x")));
    assert_eq!(ask(&methods, "eth_blockNumber", json!([])).await, head["number"], "the head has not moved");
    tokio::task::spawn_blocking(|| chain.stop()).await.expect("the chain stops");
}
