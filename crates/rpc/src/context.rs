use crate::{DevHandle, Filters, QueryPool, Signers};
use starling_builder::{BuildOptions, PayloadJobs, PendingBlocks, seal::Proposals};
use starling_chain::ChainHandle;
use starling_network::NetworkHandle;
use starling_primitives::{B256, U256};
use starling_txpool::PoolHandle;
use starling_validation::PreparedBlock;
use std::{sync::Arc, time::Duration};

/// What every method works with. Cheap to clone.
#[derive(Clone)]
pub struct RpcContext {
    /// The chain: views for readers, commands for the Engine API.
    pub chain: ChainHandle,
    /// What `web3_clientVersion` says: `Starling/v0.1.0-1a2b3c4d/linux-x86_64`. The part after the first
    /// `/` is the version that the Engine API tells the consensus client.
    pub client_version: String,
    /// The first four bytes of the commit this was built from; zero if unknown.
    pub commit: [u8; 4],
    /// What a call may cost.
    pub limits: RpcLimits,
    /// Where queries run.
    pub queries: QueryPool,
    /// Where payloads are decoded and their senders recovered: apart from the queries, so that a crowd of
    /// readers never delays a block.
    pub imports: QueryPool,
    /// Payloads that are being built for the consensus client.
    pub payloads: PayloadJobs,
    /// The block that would come next, for whoever asks for `pending`.
    pub pending: PendingBlocks,
    /// What blocks that are built here aim at and say.
    pub building: BuildOptions,
    /// Transactions that wait for a block.
    pub pool: PoolHandle,
    /// Accounts that this node signs for.
    pub signers: Signers,
    /// The sealer of a development chain; none on any other.
    pub dev: Option<DevHandle>,
    /// Whom this node's signer votes on (Clique).
    pub proposals: Proposals,
    /// Filters that callers ask for what is new.
    pub filters: Filters,
    /// The peers; none without a network, and then there is no `admin` to speak of.
    pub network: Option<NetworkHandle>,
    /// Hears what the consensus client named that is not kept here, so that it is fetched; must not block.
    pub wanted: Arc<dyn Fn(Wanted) + Send + Sync>,
    /// State is kept for this many blocks below the head; none: for all of them.
    pub state_retention_blocks: Option<u64>,
    /// What the rest of the node says of itself, asked anew each time; must not block.
    pub status: Arc<dyn Fn() -> NodeStatus + Send + Sync>,
    /// What the database holds, by name (`debug_dbStats`); may block, runs on the query pool.
    pub database_stats: Arc<dyn Fn() -> Result<serde_json::Value, String> + Send + Sync>,
}

impl std::fmt::Debug for RpcContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RpcContext").field("client_version", &self.client_version).finish_non_exhaustive()
    }
}

/// What a consensus client named and is not kept here. The answer is SYNCING, and somebody fetches it.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// The head of a fork choice.
    Head {
        /// The head to reach.
        head: B256,
        /// The safe block, zero if not named.
        safe: B256,
        /// The finalized block, zero if not named.
        finalized: B256,
    },
    /// The ancestors of a payload.
    Ancestors(Arc<PreparedBlock>),
}

/// How the node is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeStatus {
    /// Why the node is not ready for work, in words for people; ready when empty.
    pub not_ready: Vec<String>,
    /// Whether peers can connect to us.
    pub listening: bool,
    /// Connected peers.
    pub peer_count: usize,
    /// How far a running sync is; none when there is none.
    pub syncing: Option<SyncProgress>,
}

/// How far a sync is, in block numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncProgress {
    /// Where it began.
    pub starting_block: u64,
    /// Where it is.
    pub current_block: u64,
    /// Where it will end.
    pub highest_block: u64,
}

/// What calls may ask for and cost. Every error of a limit names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RpcLimits {
    /// Most gas a call may use (`--rpc.gascap`).
    pub gas_cap: u64,
    /// Most wei that the fee of a transaction sent through here may be; none: no cap (`--rpc.txfeecap`).
    pub tx_fee_cap: Option<U256>,
    /// How long a call may run (`--rpc.evmtimeout`).
    pub evm_timeout: Duration,
    /// How long a search through many blocks may run.
    pub search_timeout: Duration,
    /// Most blocks that one `eth_getLogs` may span (`--rpc.logrange`).
    pub log_range_blocks: u64,
    /// Most logs in one answer.
    pub logs_max: usize,
    /// Most addresses in a log filter, and most topics at each of its positions.
    pub log_filter_terms_max: usize,
    /// Most calls in a batch (`--rpc.batch-limit`).
    pub batch_calls_max: u32,
    /// Most bytes of a request or batch (`--rpc.bodylimit`).
    pub body_bytes_max: u32,
    /// Most bytes of a response, or of a whole batch's.
    pub response_bytes_max: u32,
    /// Most connections at a time, on each server.
    pub connections_max: u32,
    /// Most storage keys in an `eth_getProof`.
    pub proof_keys_max: usize,
    /// Most slots in an `eth_getStorageValues`.
    pub storage_values_max: usize,
    /// Most blocks in an `eth_feeHistory`; more are cut off silently, as in geth.
    pub fee_history_blocks: u64,
    /// Most percentiles in an `eth_feeHistory`.
    pub fee_percentiles_max: usize,
}

impl Default for RpcLimits {
    fn default() -> Self {
        Self {
            gas_cap: 50_000_000,
            tx_fee_cap: Some(U256::from(1_000_000_000_000_000_000u64)),
            evm_timeout: Duration::from_secs(5),
            search_timeout: Duration::from_secs(30),
            log_range_blocks: 10_000,
            // About 60 MB of JSON, what the response limit lets through.
            logs_max: 100_000,
            log_filter_terms_max: 1_000,
            batch_calls_max: 1_000,
            body_bytes_max: 15 << 20,
            response_bytes_max: 64 << 20,
            connections_max: 500,
            proof_keys_max: 1_024,
            storage_values_max: 1_024,
            fee_history_blocks: 1_024,
            fee_percentiles_max: 100,
        }
    }
}
