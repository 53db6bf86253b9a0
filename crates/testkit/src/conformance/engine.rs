//! Engine tests: the calls of a consensus client, answered by the Engine API's own methods over a chain behind its
//! mailbox. Only the sockets are left out.

use super::{
    archive::Member,
    blocks::{After, at, check_after, check_genesis, genesis, network_of, unreadable},
    caller::Caller,
    cases::{Cases, Failure, Verdict},
    door::{self, Door, Place},
    json::{Accounts, HeaderJson, Number, Word},
    network::{Config, spec_of},
    reasons::Refusal,
};
use alloy_primitives::{Address, B256, Bytes, U256};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use starling_builder::{BuildOptions, JobSource, PayloadJobs, seal::Proposals};
use starling_chainspec::{ChainSpec, Fork};
use starling_primitives::{EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH, Header};
use starling_rpc::{Filters, NodeStatus, QueryPool, RpcContext, RpcLimits, Signers};
use starling_txpool::{PoolConfig, PoolHandle};
use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

/// Payloads that may be decoded at the same time, far more than there are workers.
const IMPORT_JOBS_MAX: usize = 1024;

/// A case of the file.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case<'a> {
    network: String,
    #[serde(default)]
    config: Config,
    pre: Option<Accounts>,
    genesis_block_header: Option<HeaderJson>,
    /// Instead of these two: which of the states that many cases share.
    pre_hash: Option<String>,
    #[serde(borrow)]
    engine_new_payloads: Vec<Call<'a>>,
    lastblockhash: B256,
    post_state: Option<Accounts>,
    post_state_hash: Option<B256>,
}

/// A call of newPayload and the update of the head that follows it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Call<'a> {
    #[serde(borrow)]
    params: &'a RawValue,
    new_payload_version: Number,
    forkchoice_updated_version: Number,
    validation_error: Option<String>,
    error_code: Option<Value>,
}

/// A genesis that many cases share.
#[derive(Clone, Deserialize)]
pub(super) struct Shared {
    environment: Environment,
    pre: Accounts,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Environment {
    current_coinbase: Address,
    current_gas_limit: Number,
    current_timestamp: Number,
    #[serde(default)]
    current_random: Word,
    #[serde(default)]
    current_difficulty: Word,
    current_base_fee: Option<Number>,
    current_excess_blob_gas: Option<Number>,
    current_blob_gas_used: Option<Number>,
    parent_beacon_block_root: Option<B256>,
}

/// Runs one case; `shared` holds the states that cases share, by their names.
pub(super) fn run(name: &str, text: &RawValue, shared: &BTreeMap<String, Shared>, cases: &mut Cases<'_>) {
    if !cases.wants(name) {
        return;
    }
    let network = network_of(text);
    let over_http = cases.over_http();
    cases.case_on(name, &network, |on_disk| -> Verdict { run_case(text, shared, on_disk, over_http).into() });
}

fn run_case(text: &RawValue, shared: &BTreeMap<String, Shared>, on_disk: bool, over_http: bool) -> Result<(), Failure> {
    let case: Case<'_> = serde_json::from_str(text.get()).map_err(|error| unreadable(&error))?;
    let (spec, genesis_hash) = match (case.pre, &case.genesis_block_header, &case.pre_hash) {
        (Some(pre), Some(header), _) => (genesis(&case.network, &case.config, header, pre)?, header.hash),
        (None, None, Some(name)) => {
            let shared =
                shared.get(name).ok_or_else(|| at("genesis", format!("the state {name}"), "no such member"))?;
            shared_genesis(&case.network, &case.config, shared)?
        }
        _ => return Err(at("genesis", "`pre` and a header, or `preHash`", "neither")),
    };
    let spec = Arc::new(spec);
    let place = if on_disk { Place::Disk } else { Place::MemoryMailbox };
    let door = door::open(spec.clone(), false, place).map_err(|why| at("genesis", "a chain", why))?;
    check_genesis(&door, &spec, genesis_hash, None)?;
    let client = Client::new(&door, over_http)?;
    if let Some(first) = case.engine_new_payloads.first() {
        client.update(first.forkchoice_updated_version, genesis_hash).map_err(|why| at("genesis", "VALID", why))?;
    }
    for (index, call) in case.engine_new_payloads.iter().enumerate() {
        client.call(call).map_err(|failure| Failure { at: format!("call {index}"), ..failure })?;
    }
    let after = After { head: case.lastblockhash, state: case.post_state, state_root: case.post_state_hash };
    check_after(&door, &spec, after)
}

/// The Engine API over a chain.
struct Client<'a> {
    door: &'a Door,
    caller: Caller,
}

/// What a method answered.
#[derive(Deserialize)]
struct Answer {
    result: Option<Value>,
    error: Option<ErrorJson>,
}

#[derive(Debug, Deserialize)]
struct ErrorJson {
    code: i64,
    message: String,
}

impl<'a> Client<'a> {
    fn new(door: &'a Door, over_http: bool) -> Result<Self, Failure> {
        let chain = door.handle().ok_or_else(|| at("genesis", "a chain behind its mailbox", "one that is not"))?;
        let source = {
            let chain = chain.clone();
            JobSource::of_chain(move || chain.view())
        };
        let payloads = PayloadJobs::new(source);
        let context = RpcContext {
            chain: chain.clone(),
            client_version: "Starling/conformance".into(),
            commit: [0; 4],
            limits: RpcLimits::default(),
            queries: QueryPool::over("queries", POOL.clone(), IMPORT_JOBS_MAX),
            imports: QueryPool::over("imports", POOL.clone(), IMPORT_JOBS_MAX),
            pending: payloads.pending_blocks(BuildOptions::default()),
            payloads,
            building: BuildOptions::default(),
            pool: PoolHandle::new(PoolConfig::default(), starling_execution::intrinsic_gas, &chain.view(), |_| Ok(())),
            signers: Signers::default(),
            proposals: Proposals::default(),
            dev: None,
            filters: Filters::default(),
            network: None,
            wanted: Arc::new(|_| {}),
            state_retention_blocks: None,
            status: Arc::new(NodeStatus::default),
            database_stats: Arc::new(|| Ok(Value::Null)),
        };
        Ok(Self { door, caller: Caller::new(context, over_http)? })
    }

    /// newPayload, which must answer as the case says; a payload that is valid becomes the head.
    fn call(&self, call: &Call<'_>) -> Result<(), Failure> {
        let before = self.door.head();
        let method = format!("engine_newPayloadV{}", call.new_payload_version.0);
        let answer = self.ask(&method, call.params.get())?;
        let hash = block_hash(call.params)?;
        if let Some(expected) = &call.error_code {
            let expected = expected.as_str().map_or_else(|| expected.to_string(), str::to_owned);
            return match answer.error {
                Some(error) if error.code.to_string() == expected => Ok(()),
                Some(error) => {
                    Err(at("", format!("error {expected}"), format!("error {}: {}", error.code, error.message)))
                }
                None => Err(at("", format!("error {expected}"), format!("{:?}", answer.result))),
            };
        }
        let Some(status) = answer.result else {
            return Err(at("", "a status", format!("{:?}", answer.error)));
        };
        match (&call.validation_error, status["status"].as_str()) {
            (None, Some("VALID")) => {
                self.update(call.forkchoice_updated_version, hash).map_err(|why| at("", "VALID", why))
            }
            (Some(names), Some("INVALID")) => {
                let refusal = self.refusal(hash, &status);
                if !refusal.is_for(names) {
                    return Err(at("", names, refusal));
                }
                let head = self.door.head();
                if head == before { Ok(()) } else { Err(at("", format!("head {before}"), format!("head {head}"))) }
            }
            (expected, _) => Err(at("", expected.as_deref().unwrap_or("VALID"), status)),
        }
    }

    /// Why a payload is INVALID: the chain's reason if it came as far, else the method's words.
    fn refusal(&self, hash: B256, status: &Value) -> Refusal {
        let bad = self.door.handle().map(|chain| chain.bad_blocks()).unwrap_or_default();
        match bad.into_iter().find(|bad| bad.block.hash == hash) {
            Some(bad) => Refusal::Invalid(bad.why),
            None => Refusal::Engine(status["validationError"].as_str().unwrap_or_default().into()),
        }
    }

    /// Makes a block the head; in words if that does not answer VALID.
    fn update(&self, version: Number, head: B256) -> Result<(), String> {
        let state =
            json!([{ "headBlockHash": head, "safeBlockHash": B256::ZERO, "finalizedBlockHash": B256::ZERO }, null]);
        let method = format!("engine_forkchoiceUpdatedV{}", version.0);
        let answer = self.ask(&method, &state.to_string()).map_err(|failure| failure.got)?;
        match answer.result {
            Some(result) if result["payloadStatus"]["status"] == "VALID" => Ok(()),
            Some(result) => Err(format!("{method}: {result}")),
            None => Err(format!("{method}: {:?}", answer.error)),
        }
    }

    fn ask(&self, method: &str, params: &str) -> Result<Answer, Failure> {
        let failed = |why: String| at("", format!("an answer of {method}"), why);
        let answer = self.caller.ask(method, params).map_err(failed)?;
        serde_json::from_value(answer).map_err(|error| failed(error.to_string()))
    }
}

/// Where payloads are decoded.
static POOL: LazyLock<Arc<rayon::ThreadPool>> = LazyLock::new(|| {
    let pool = rayon::ThreadPoolBuilder::new().thread_name(|index| format!("payloads-{index}")).build();
    Arc::new(pool.expect("the machine gives threads"))
});

fn block_hash(params: &RawValue) -> Result<B256, Failure> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Payload {
        block_hash: B256,
    }
    let params: Vec<&RawValue> = serde_json::from_str(params.get()).map_err(|error| unreadable(&error))?;
    let payload = params.first().ok_or_else(|| at("", "a payload", "no arguments"))?;
    let payload: Payload = serde_json::from_str(payload.get()).map_err(|error| unreadable(&error))?;
    Ok(payload.block_hash)
}

/// The genesis block that the suite's tool makes of an environment.
fn shared_genesis(network: &str, config: &Config, shared: &Shared) -> Result<(ChainSpec, B256), Failure> {
    let mut spec = spec_of(network, config).map_err(|why| at("genesis", "a known network", why))?;
    let state = shared.pre.clone().into_state();
    let environment = &shared.environment;
    let number = |field: Option<Number>| field.map(|Number(number)| number);
    let mut header = Header {
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: environment.current_coinbase,
        state_root: starling_chainspec::state_root(&state),
        transactions_root: EMPTY_ROOT_HASH,
        receipts_root: EMPTY_ROOT_HASH,
        difficulty: environment.current_difficulty.0,
        gas_limit: environment.current_gas_limit.0,
        timestamp: environment.current_timestamp.0,
        extra_data: Bytes::from_static(&[0]),
        mix_hash: environment.current_random.0.into(),
        base_fee_per_gas: number(environment.current_base_fee),
        ..Header::default()
    };
    let fork = spec.fork_of(&Header { difficulty: U256::ZERO, ..header.clone() });
    if fork >= Fork::Shanghai {
        header.withdrawals_root = Some(EMPTY_ROOT_HASH);
    }
    if fork >= Fork::Cancun {
        header.blob_gas_used = Some(number(environment.current_blob_gas_used).unwrap_or_default());
        header.excess_blob_gas = Some(number(environment.current_excess_blob_gas).unwrap_or_default());
        header.parent_beacon_block_root = Some(environment.parent_beacon_block_root.unwrap_or_default());
    }
    if fork >= Fork::Prague {
        header.requests_hash = Some(alloy_eips::eip7685::EMPTY_REQUESTS_HASH);
    }
    let hash = header.hash_slow();
    (spec.genesis_header, spec.genesis_state) = (header, state.into());
    Ok((spec, hash))
}

/// The states that cases share, by their names.
pub(super) fn shared_states(members: &[&Member]) -> BTreeMap<String, Shared> {
    let name = |path: &str| path.rsplit('/').next().and_then(|file| file.strip_suffix(".json")).map(str::to_owned);
    // one that does not read is missed by the case that names it
    members
        .iter()
        .filter_map(|member| Some((name(&member.path)?, serde_json::from_slice(&member.bytes).ok()?)))
        .collect()
}

/// What a chain that knows only its genesis answers to a payload: the status of newPayload.
///
/// # Errors
/// In words, if it answers with an error, or not at all.
pub(super) fn new_payload(spec: ChainSpec, version: u64, params: &[Value]) -> Result<Value, String> {
    let door = door::open(Arc::new(spec), false, Place::MemoryMailbox)?;
    let client = Client::new(&door, false).map_err(|failure| failure.got)?;
    let params = Value::from(params).to_string();
    let answer = client.ask(&format!("engine_newPayloadV{version}"), &params).map_err(|failure| failure.got)?;
    answer.result.ok_or_else(|| format!("{:?}", answer.error))
}
