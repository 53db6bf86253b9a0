//! The Engine API over a chain in memory: payloads are asked for, taken, handed back and made the head.

mod common;

use common::served;
use serde_json::{Value, json};
use starling_primitives::B256;
use starling_rpc::{Namespace, RpcContext, RpcModule, engine_module, module};
use starling_txpool::Origin;
use std::time::Duration;

const NO_HASH: &str = "0x1111111111111111111111111111111111111111111111111111111111111111";

/// The methods, called without a socket.
struct Client {
    methods: RpcModule<RpcContext>,
    context: RpcContext,
}

impl Client {
    fn new(context: &RpcContext) -> Self {
        let mut methods = engine_module(context.clone());
        methods.merge(module(context.clone(), &[Namespace::Testing])).expect("other names");
        Self { methods, context: context.clone() }
    }

    async fn answer(&self, method: &str, params: Value) -> Value {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let (answer, _) = self.methods.raw_json_request(&request, 1).await.expect("a request");
        serde_json::from_str(answer.get()).expect("JSON")
    }

    async fn result(&self, method: &str, params: Value) -> Value {
        let mut answer = self.answer(method, params).await;
        assert!(answer["error"].is_null(), "{method}: {answer}");
        answer["result"].take()
    }

    /// The error's code.
    async fn code(&self, method: &str, params: Value) -> i64 {
        let answer = self.answer(method, params).await;
        answer["error"]["code"].as_i64().unwrap_or_else(|| panic!("{method}: {answer}"))
    }

    fn head(&self) -> Value {
        json!(self.context.chain.view().head().hash)
    }

    /// Attributes of a block some seconds after the head.
    fn attributes(&self, seconds: u64) -> Value {
        json!({
            "timestamp": format!("{:#x}", self.context.chain.view().head_header().timestamp + seconds),
            "prevRandao": B256::repeat_byte(7),
            "suggestedFeeRecipient": "0x00000000000000000000000000000000000000aa",
            "withdrawals": [{ "index": "0x1", "validatorIndex": "0x2", "address": "0x00000000000000000000000000000000000000bb", "amount": "0x3" }],
            "parentBeaconBlockRoot": B256::repeat_byte(8),
        })
    }
}

fn state(head: &Value) -> Value {
    json!({ "headBlockHash": head, "safeBlockHash": B256::ZERO, "finalizedBlockHash": B256::ZERO })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_from_its_order_to_the_head() {
    let Some((_chain, context)) = served() else { return };
    let client = Client::new(&context);
    let (head, attributes) = (client.head(), client.attributes(12));
    let ordered = client.result("engine_forkchoiceUpdatedV3", json!([state(&head), attributes])).await;
    assert_eq!(ordered["payloadStatus"]["status"], "VALID", "{ordered}");
    let id = ordered["payloadId"].clone();
    assert!(id.as_str().is_some_and(|id| id.starts_with("0x03") && id.len() == 18), "{id}");
    // The same order is the same payload, also with a finalized block; another order is another one.
    let again = json!({ "headBlockHash": head, "safeBlockHash": head, "finalizedBlockHash": head });
    assert_eq!(client.result("engine_forkchoiceUpdatedV3", json!([again, attributes])).await["payloadId"], id);
    let other = client.result("engine_forkchoiceUpdatedV3", json!([again, client.attributes(13)])).await;
    assert_ne!(other["payloadId"], id);

    let payload = client.result("engine_getPayloadV5", json!([id])).await;
    let (block, requests) = (payload["executionPayload"].clone(), payload["executionRequests"].clone());
    assert_eq!((&block["parentHash"], &payload["shouldOverrideBuilder"]), (&head, &json!(false)), "{payload}");
    assert_eq!(payload["blobsBundle"], json!({ "commitments": [], "proofs": [], "blobs": [] }));
    let status = client.result("engine_newPayloadV4", json!([block, [], B256::repeat_byte(8), requests])).await;
    assert_eq!((&status["status"], &status["latestValidHash"]), (&json!("VALID"), &block["blockHash"]), "{status}");
    client.result("engine_forkchoiceUpdatedV3", json!([state(&block["blockHash"]), null])).await;
    assert_eq!(client.head(), block["blockHash"]);
    // A payload that was taken can be taken again.
    assert_eq!(client.result("engine_getPayloadV5", json!([id])).await, payload);
}

/// A transfer of the chain's first account with its next nonce, of the published cases.
const TRANSFER: &str = "02f871870c72dd9d5e883e808201f48401a2158b825208947dcd17433742f4c0ca53122ab541d0ba67fc27df8203e880\
    c080a0fc16dc6d5a212a0b22f8186c8527d8771481a6c2a38b7f5e8a5143b8759f3363a028f2da4ff518f39d44fd7c8628def039a992aacc807056\
    af8478d543afac201c";

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_gets_better_while_it_waits() {
    let Some((_chain, context)) = served() else { return };
    let client = Client::new(&context);
    let ordered =
        client.result("engine_forkchoiceUpdatedV3", json!([state(&client.head()), client.attributes(12)])).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let raw = alloy_primitives::hex::decode(TRANSFER).expect("hex");
    let (pool, view) = (context.pool.clone(), context.chain.view());
    tokio::task::spawn_blocking(move || pool.submit(&raw, Origin::Local, &view)).await.unwrap().expect("a good one");
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    let payload = client.result("engine_getPayloadV5", json!([ordered["payloadId"]])).await;
    let block = &payload["executionPayload"];
    assert_eq!(block["transactions"], json!([format!("0x{TRANSFER}")]), "{payload}");
    // 21,000 gas at a tip of 500 wei.
    assert_eq!(payload["blockValue"], json!("0xa037a0"), "{payload}");
    let status = client
        .result("engine_newPayloadV4", json!([block, [], B256::repeat_byte(8), payload["executionRequests"]]))
        .await;
    assert_eq!(status["status"], "VALID", "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_that_cannot_be() {
    let Some((_chain, context)) = served() else { return };
    let client = Client::new(&context);
    let (head, update) = (client.head(), "engine_forkchoiceUpdatedV3");
    // Not after its parent: the fork choice stands, the order does not.
    let parent = json!(context.chain.view().head_header().parent_hash);
    client.result(update, json!([state(&parent), null])).await;
    let early = json!({ "timestamp": "0x1a4", "prevRandao": NO_HASH, "withdrawals": [],
        "suggestedFeeRecipient": "0x00000000000000000000000000000000000000aa", "parentBeaconBlockRoot": NO_HASH });
    assert_eq!(client.code(update, json!([state(&head), early])).await, -38003);
    assert_eq!(client.head(), head);
    // Of another fork, or for another version.
    assert_eq!(client.code("engine_forkchoiceUpdatedV2", json!([state(&head), client.attributes(12)])).await, -38003);
    assert_eq!(client.code("engine_forkchoiceUpdatedV4", json!([state(&head), client.attributes(12)])).await, -38003);
    assert_eq!(client.code("engine_forkchoiceUpdatedV1", json!([state(&head), client.attributes(12)])).await, -32602);
    // A head that is not here has nothing built on it.
    let unknown = client.result(update, json!([state(&json!(NO_HASH)), client.attributes(12)])).await;
    assert_eq!((&unknown["payloadStatus"]["status"], &unknown["payloadId"]), (&json!("SYNCING"), &Value::Null));
    let foreign = json!({ "headBlockHash": head, "safeBlockHash": NO_HASH, "finalizedBlockHash": B256::ZERO });
    assert_eq!(client.code(update, json!([foreign, client.attributes(12)])).await, -38002);

    assert_eq!(client.code("engine_getPayloadV5", json!(["0x0300000000000000"])).await, -38001);
    assert_eq!(client.code("engine_getPayloadV5", json!(["0x03"])).await, -32602);
    assert_eq!(client.code("engine_getPayloadV6", json!(["0x0300000000000000"])).await, -38005);
    let id = client.result(update, json!([state(&head), client.attributes(12)])).await["payloadId"].clone();
    for method in ["engine_getPayloadV3", "engine_getPayloadV4", "engine_getPayloadV1", "engine_getPayloadV2"] {
        assert_eq!(client.code(method, json!([id])).await, -38005, "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_below_the_finalized_block_change_nothing() {
    let Some((_chain, context)) = served() else { return };
    let client = Client::new(&context);
    let (head, update) = (client.head(), "engine_forkchoiceUpdatedV3");
    let parent = json!(context.chain.view().head_header().parent_hash);
    // An ancestor that is not final yet may become the head, and be built on.
    let built = client.result(update, json!([state(&parent), client.attributes(1)])).await;
    assert!(built["payloadId"].is_string() && client.head() == parent, "{built}");
    let finalized = json!({ "headBlockHash": head, "safeBlockHash": head, "finalizedBlockHash": head });
    client.result(update, json!([finalized, null])).await;
    let skipped = client.result(update, json!([state(&parent), client.attributes(1)])).await;
    assert_eq!((&skipped["payloadStatus"]["status"], &skipped["payloadId"]), (&json!("VALID"), &Value::Null));
    assert_eq!(client.head(), head);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies() {
    let Some((_chain, context)) = served() else { return };
    let client = Client::new(&context);
    let head = client.head();
    let by_hash = client.result("engine_getPayloadBodiesByHashV1", json!([[head, NO_HASH]])).await;
    assert!(by_hash[0]["transactions"].is_array() && by_hash[0]["withdrawals"].is_array(), "{by_hash}");
    assert!(by_hash[1].is_null() && by_hash[0].get("blockAccessList").is_none(), "{by_hash}");
    let with_list = client.result("engine_getPayloadBodiesByHashV2", json!([[head]])).await;
    assert!(with_list[0]["blockAccessList"].is_null() && with_list[0].get("blockAccessList").is_some(), "{with_list}");
    // Block 54 is the last one; what is past the head is not there.
    let by_range = client.result("engine_getPayloadBodiesByRangeV1", json!(["0x35", "0x20"])).await;
    assert_eq!(by_range.as_array().map(Vec::len), Some(2), "{by_range}");
    assert_eq!(by_range[1], by_hash[0]);
    // Before Shanghai there are no withdrawals.
    let old = client.result("engine_getPayloadBodiesByRangeV1", json!(["0x1", "0x1"])).await;
    assert!(old[0]["withdrawals"].is_null(), "{old}");
    assert_eq!(client.code("engine_getPayloadBodiesByRangeV1", json!(["0x0", "0x1"])).await, -32602);
    assert_eq!(client.code("engine_getPayloadBodiesByRangeV1", json!(["0x1", "0x0"])).await, -32602);
    assert_eq!(client.code("engine_getPayloadBodiesByRangeV1", json!(["0x1", "0x401"])).await, -38004);
    assert_eq!(client.code("engine_getPayloadBodiesByHashV1", json!([vec![NO_HASH; 1025]])).await, -38004);
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_that_are_not_here() {
    let Some((_chain, context)) = served() else { return };
    let client = Client::new(&context);
    // The head is one of Osaka.
    assert_eq!(client.code("engine_getBlobsV1", json!([[NO_HASH]])).await, -38005);
    assert_eq!(client.result("engine_getBlobsV2", json!([[NO_HASH]])).await, Value::Null);
    assert_eq!(client.result("engine_getBlobsV2", json!([[]])).await, json!([]));
    assert_eq!(client.result("engine_getBlobsV3", json!([[NO_HASH, NO_HASH]])).await, json!([null, null]));
    assert_eq!(client.code("engine_getBlobsV3", json!([vec![NO_HASH; 129]])).await, -38004);
}

#[tokio::test(flavor = "multi_thread")]
async fn transitions_and_committed_blocks() {
    let Some((_chain, context)) = served() else { return };
    let client = Client::new(&context);
    let exchange = "engine_exchangeTransitionConfigurationV1";
    let total = context.chain.spec().consensus.terminal_total_difficulty().expect("a merge");
    let config =
        json!({ "terminalTotalDifficulty": total, "terminalBlockHash": B256::ZERO, "terminalBlockNumber": "0x0" });
    assert_eq!(client.result(exchange, json!([config])).await, config);
    let other =
        json!({ "terminalTotalDifficulty": "0x1", "terminalBlockHash": B256::ZERO, "terminalBlockNumber": "0x0" });
    assert_eq!(client.code(exchange, json!([other])).await, -32000);

    let before = context.chain.view().head();
    let hash = client.result("testing_commitBlockV1", json!([client.attributes(12), [], "0x1234"])).await;
    assert_eq!(client.head(), hash);
    let view = context.chain.view();
    assert_eq!((view.head().number, view.head_header().parent_hash), (before.number + 1, before.hash));
    assert_eq!(view.head_header().extra_data.as_ref(), [0x12, 0x34]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_last_payloads_are_kept() {
    let Some((_chain, context)) = served() else { return };
    let client = Client::new(&context);
    let head = client.head();
    let mut ids = Vec::new();
    for seconds in 1..=12 {
        let ordered =
            client.result("engine_forkchoiceUpdatedV3", json!([state(&head), client.attributes(seconds)])).await;
        ids.push(ordered["payloadId"].clone());
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(client.code("engine_getPayloadV5", json!([ids[0]])).await, -38001);
    for id in &ids[2..] {
        client.result("engine_getPayloadV5", json!([id])).await;
    }
}
