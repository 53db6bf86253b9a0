//! The doors themselves: HTTP, the engine port, the IPC socket.

mod common;

use common::{NO_HASH, served};
use serde_json::{Value, json};
use starling_rpc::{
    EngineConfig, HttpConfig, JwtSecret, Namespace, NodeStatus, QueryPool, RpcContext, RpcError, RpcLimits, Ways,
    serve_engine, serve_http, serve_ipc,
};
use std::{
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpStream, UnixStream},
};

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// Status and body of one HTTP request.
async fn http(addr: SocketAddr, head: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let length = body.len();
    let request = format!("{head}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A server that refuses a body may close before it has read all of it.
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

async fn post(addr: SocketAddr, body: &str) -> (u16, Value) {
    let (code, text) = http(addr, "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json", body).await;
    (code, serde_json::from_str(&text).unwrap_or(Value::Null))
}

fn call(method: &str, params: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string()
}

fn config() -> HttpConfig {
    HttpConfig {
        addr: ANY_PORT,
        apis: Namespace::DEFAULT.to_vec(),
        vhosts: vec!["localhost".into()],
        cors: vec![],
        ways: Ways::Http,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http_and_its_limits() {
    let Some((_chain, context)) = served() else { return };
    let limits = RpcLimits { batch_calls_max: 2, body_bytes_max: 2_000, ..context.limits };
    let status = || NodeStatus { not_ready: vec!["no head".into()], ..NodeStatus::default() };
    let server = serve_http(config(), RpcContext { limits, status: Arc::new(status), ..context }).await.unwrap();
    let addr = server.local_addr().unwrap();

    assert_eq!(post(addr, &call("eth_blockNumber", &json!([]))).await.1["result"], "0x36");
    assert_eq!(post(addr, &call("eth_nope", &json!([]))).await.1["error"]["code"], -32601);
    // Not in the default namespaces.
    assert_eq!(post(addr, &call("debug_getBadBlocks", &json!([]))).await.1["error"]["code"], -32601);
    assert_eq!(post(addr, &call("engine_exchangeCapabilities", &json!([[]]))).await.1["error"]["code"], -32601);

    let one = call("eth_chainId", &json!([]));
    assert_eq!(post(addr, &format!("[{one},{one}]")).await.1.as_array().unwrap().len(), 2);
    let refused = post(addr, &format!("[{one},{one},{one}]")).await.1;
    assert!(refused["error"]["data"].as_str().unwrap().contains('2'), "{refused}");
    assert_eq!(post(addr, &call("web3_sha3", &json!([format!("0x{}", "00".repeat(2_000))]))).await.0, 413);
    assert_eq!(post(addr, "{").await.1["error"]["code"], -32700);

    for (path, code) in [("/", 200), ("/livez", 200), ("/readyz", 503)] {
        assert_eq!(http(addr, &format!("GET {path} HTTP/1.1\r\nhost: localhost"), "").await.0, code, "{path}");
    }
    assert!(http(addr, "GET /readyz HTTP/1.1\r\nhost: localhost", "").await.1.contains("no head"));
    let evil = "POST / HTTP/1.1\r\nhost: evil.example\r\ncontent-type: application/json";
    assert_eq!(http(addr, evil, &one).await.0, 403);

    let started = Instant::now();
    server.stop().await;
    assert!(started.elapsed() < Duration::from_secs(1));
    assert!(TcpStream::connect(addr).await.is_err(), "it still listens");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_pool_says_so() {
    let Some((_chain, context)) = served() else { return };
    let queries = QueryPool::new("query", 1, 0).unwrap();
    let server = serve_http(config(), RpcContext { queries, ..context }).await.unwrap();
    let addr = server.local_addr().unwrap();
    let refused = post(addr, &call("eth_gasPrice", &json!([]))).await.1;
    assert_eq!(refused["error"]["code"], -32005);
    assert!(refused["error"]["message"].as_str().unwrap().contains("too many requests"), "{refused}");
    // What reads memory only is still answered.
    assert_eq!(post(addr, &call("eth_blockNumber", &json!([]))).await.1["result"], "0x36");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_an_error_of_its_call_only() {
    let Some((_chain, context)) = served() else { return };
    let database_stats = Arc::new(|| panic!("as intended"));
    let apis = vec![Namespace::Debug];
    let server = serve_http(HttpConfig { apis, ..config() }, RpcContext { database_stats, ..context }).await.unwrap();
    let addr = server.local_addr().unwrap();
    assert_eq!(post(addr, &call("debug_dbStats", &json!([]))).await.1["error"]["code"], -32603);
    assert_eq!(post(addr, &call("debug_getRawReceipts", &json!(["0x0"]))).await.1["result"], json!([]));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_methods_name_themselves() {
    let Some((_chain, context)) = served() else { return };
    let limits = RpcLimits {
        log_range_blocks: 10,
        logs_max: 1,
        log_filter_terms_max: 2,
        proof_keys_max: 2,
        storage_values_max: 2,
        ..context.limits
    };
    let server = serve_http(config(), RpcContext { limits, ..context }).await.unwrap();
    let addr = server.local_addr().unwrap();
    let account = "0x7dcd17433742f4c0ca53122ab541d0ba67fc27df";
    let slot = NO_HASH.to_string();
    let check = async |method: &str, params: Value, code: i64, word: &str| {
        let error = &post(addr, &call(method, &params)).await.1["error"];
        assert_eq!(error["code"], code, "{method} {params}: {error}");
        assert!(error["message"].as_str().unwrap().contains(word), "{method} {params}: {error}");
    };
    check("eth_getLogs", json!([{ "fromBlock": "0x1", "toBlock": "0xb" }]), -32602, "limit of 10 (--rpc.logrange)")
        .await;
    check("eth_getLogs", json!([{ "fromBlock": "0x1", "toBlock": "0xa" }]), -38026, "more than 1 logs").await;
    check("eth_getLogs", json!([{ "address": [account, account, account] }]), -32000, "max 2").await;
    check("eth_getLogs", json!([{ "topics": [[slot, slot, slot]] }]), -32602, "max 2").await;
    check("eth_getProof", json!([account, ["0x0", "0x1", "0x2"], "latest"]), -32602, "max 2, got 3").await;
    check("eth_getStorageValues", json!([{ account: [slot, slot, slot] }]), -38026, "max 2").await;
    // Nothing has been called safe or final yet.
    check("eth_getBlockByNumber", json!(["safe", false]), -32000, "safe block not found").await;
    check("eth_getBalance", json!([account, "finalized"]), -32000, "finalized block not found").await;
    check("eth_getBalance", json!([account, { "blockHash": NO_HASH }]), -32000, "header for hash not found").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn engine_wants_a_token() {
    let Some((_chain, context)) = served() else { return };
    let jwt = JwtSecret::new([7; 32]);
    let vhosts = vec!["localhost".into()];
    let server =
        serve_engine(EngineConfig { addr: ANY_PORT, vhosts, jwt: jwt.clone() }, context.clone()).await.unwrap();
    let addr = server.local_addr().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let ask = async |token: Option<String>, body: String| {
        let head = "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json";
        let token = token.map(|token| format!("\r\nauthorization: Bearer {token}")).unwrap_or_default();
        http(addr, &format!("{head}{token}"), &body).await
    };
    let capabilities = || call("engine_exchangeCapabilities", &json!([[]]));
    assert_eq!(ask(None, capabilities()).await, (401, "missing token\n".into()));
    assert_eq!(ask(Some(jwt.token(now - 120)), capabilities()).await.0, 401);
    assert_eq!(ask(Some(JwtSecret::new([8; 32]).token(now)), capabilities()).await.0, 401);
    let answer = ask(Some(jwt.token(now)), capabilities()).await;
    assert!(answer.0 == 200 && answer.1.contains("engine_newPayloadV4"), "{answer:?}");

    let head = context.chain.view().head().hash;
    let check = async |head: Value, attributes: Value, expect: &str| {
        let zero = starling_primitives::B256::ZERO;
        let state = json!({ "headBlockHash": head, "safeBlockHash": zero, "finalizedBlockHash": zero });
        let body = call("engine_forkchoiceUpdatedV3", &json!([state, attributes]));
        let answer = ask(Some(jwt.token(now)), body).await.1;
        assert!(answer.contains(expect), "{answer}");
    };
    check(json!(head), Value::Null, r#""status":"VALID""#).await;
    check(json!(NO_HASH), Value::Null, r#""status":"SYNCING""#).await;
    check(json!(starling_primitives::B256::ZERO), Value::Null, r#""status":"INVALID""#).await;
    check(json!(head), json!({}), "-32602").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ipc() {
    let Some((_chain, context)) = served() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("starling.ipc");
    // A socket that nobody answers on, as a killed process leaves it.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let server = serve_ipc(&path, context.clone()).await.unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(serve_ipc(&path, context.clone()).await, Err(RpcError::SocketInUse(_))));
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(matches!(serve_ipc(&file, context).await, Err(RpcError::NotASocket(_))));

    let (reader, mut writer) = UnixStream::connect(&path).await.unwrap().into_split();
    let mut lines = BufReader::new(reader).lines();
    // In two pieces and with no newline, then one after the other, then a notification and a batch.
    writer.write_all(br#"{"jsonrpc":"2.0","id":1,"meth"#).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    writer.write_all(br#"od":"eth_blockNumber"}"#).await.unwrap();
    assert_eq!(lines.next_line().await.unwrap().unwrap(), r#"{"jsonrpc":"2.0","id":1,"result":"0x36"}"#);
    writer.write_all(br#"{"jsonrpc":"2.0","method":"eth_chainId"}"#).await.unwrap();
    writer.write_all(br#"[{"jsonrpc":"2.0","id":2,"method":"eth_nope"},{"x":1},1]"#).await.unwrap();
    let batch: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
    let codes: Vec<_> = batch.as_array().unwrap().iter().map(|answer| answer["error"]["code"].clone()).collect();
    assert_eq!(codes, [-32601, -32600, -32600]);

    let asked: Vec<_> = (10..40).map(|id| json!({ "jsonrpc": "2.0", "id": id, "method": "eth_gasPrice" })).collect();
    let all: String = asked.iter().map(ToString::to_string).collect();
    writer.write_all(all.as_bytes()).await.unwrap();
    let mut ids = Vec::new();
    for _ in &asked {
        let answer: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
        assert!(answer["result"].is_string(), "{answer}");
        ids.push(answer["id"].as_u64().unwrap());
    }
    ids.sort_unstable();
    assert_eq!(ids, (10..40).collect::<Vec<_>>());

    writer.write_all(b"nonsense").await.unwrap();
    assert!(lines.next_line().await.unwrap().unwrap().contains("-32700"));
    assert_eq!(lines.next_line().await.unwrap(), None);

    let started = Instant::now();
    server.stop().await;
    assert!(started.elapsed() < Duration::from_secs(1));
    assert!(!path.exists(), "the socket is left behind");
}
