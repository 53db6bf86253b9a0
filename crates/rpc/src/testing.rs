//! `testing_*`: blocks of given transactions, built on request. For tests of clients; whoever may call this may have
//! any block made the head.

use crate::{
    ApiError, RpcContext,
    api::{Answer, Api, to_json},
    args::Args,
    engine::{AttributesArgs, Envelope, build_error},
    hex::{Data, Hash},
};
use alloy_consensus::{EthereumTxEnvelope, Signed, TxEip4844Variant};
use alloy_eips::{eip2718::Decodable2718, eip7594::BlobTransactionSidecarVariant};
use alloy_primitives::Bytes;
use jsonrpsee::types::Params;
use serde_json::value::RawValue;
use starling_builder::{Attributes, Built, Candidate, Candidates, Given, Limits, Parent, build};
use starling_chain::{ImportOutcome, SetHeadOutcome};
use starling_primitives::{B256, BlockRef, Transaction, recover_sender};
use starling_state::{BlockId, ChainView};
use starling_validation::PreparedBlock;
use std::sync::Arc;

/// Adds every method of the namespace.
pub(crate) fn register(api: &mut Api) {
    api.query("testing_buildBlockV1", build_block);
    api.command("testing_commitBlockV1", commit_block);
}

/// A block on any kept parent, handed out and forgotten.
fn build_block(context: &RpcContext, mut args: Args<'_>) -> Answer<Envelope> {
    let Hash(parent) = args.required()?;
    let order = Order::take(context, args)?;
    let view = context.chain.view();
    let at = view.find(BlockId::Hash(parent))?.ok_or_else(|| ApiError::server(format!("unknown parent {parent}")))?;
    order.build(context, &view, at).map(|built| Envelope::new(&built))
}

/// A block on the head, which becomes the head; its hash.
async fn commit_block(context: Arc<RpcContext>, params: Params<'static>) -> Answer<Box<RawValue>> {
    let build = {
        let context = context.clone();
        move || build_on_head(&context, Args::new(&params)?)
    };
    let block = Arc::new(context.queries.run(build).await??);
    let hash = block.hash;
    match context.chain.import(block).await? {
        ImportOutcome::Valid | ImportOutcome::Known => {}
        other => return Err(ApiError::Internal(format!("the chain does not take the block: {other:?}"))),
    }
    match context.chain.set_head(hash, B256::ZERO, B256::ZERO).await? {
        SetHeadOutcome::Done => to_json(&hash),
        other => Err(ApiError::Internal(format!("the block does not become the head: {other:?}"))),
    }
}

fn build_on_head(context: &RpcContext, args: Args<'_>) -> Answer<PreparedBlock> {
    let order = Order::take(context, args)?;
    let view = context.chain.view();
    order.build(context, &view, view.head()).map(|built| built.prepare())
}

/// What a block is to be.
struct Order {
    attributes: Attributes,
    /// None: the pool's best.
    candidates: Option<Vec<Candidate>>,
}

impl Order {
    /// Attributes, transactions (null for the pool's best) and extra data (null for the operator's).
    fn take(context: &RpcContext, mut args: Args<'_>) -> Answer<Self> {
        let attributes: AttributesArgs = args.required()?;
        let transactions: Option<Vec<Data>> = args.optional()?;
        let extra_data: Option<Data> = args.optional()?;
        args.end()?;
        let mut attributes = attributes.complete(context);
        if let Some(Data(extra_data)) = extra_data {
            attributes.extra_data = extra_data;
        }
        let candidates = transactions
            .map(|list| list.into_iter().enumerate().map(|(index, Data(raw))| candidate(index, &raw)).collect());
        Ok(Self { attributes, candidates: candidates.transpose()? })
    }

    fn build(self, context: &RpcContext, view: &ChainView, parent: BlockRef) -> Answer<Built> {
        let unknown = || ApiError::server(format!("unknown parent {}", parent.hash));
        let header = view.header(BlockId::Hash(parent.hash))?.ok_or_else(unknown)?;
        let state = view.state_at(parent)?;
        let on = Parent { header: &header, state: &state };
        let mut candidates: Box<dyn Candidates> = match self.candidates {
            Some(given) => Box::new(Given::new(given)),
            None => context.payloads.candidates(view, (parent.hash, &header), &self.attributes).map_err(build_error)?,
        };
        build(view.spec(), on, &self.attributes, candidates.as_mut(), &Limits::default()).map_err(build_error)
    }
}

/// A transaction in its network form: a blob transaction may bring its blobs.
fn candidate(index: usize, raw: &Bytes) -> Answer<Candidate> {
    let invalid = |why: String| ApiError::params(format!("invalid transaction {index}: {why}"));
    let decoded = EthereumTxEnvelope::<TxEip4844Variant<BlobTransactionSidecarVariant>>::decode_2718_exact(raw)
        .map_err(|error| invalid(error.to_string()))?;
    let (tx, sidecar) = without_sidecar(decoded);
    let sender = recover_sender(&tx, true).map_err(|error| invalid(error.to_string()))?;
    Ok(Candidate { tx, sender, sidecar: sidecar.map(Arc::new) })
}

fn without_sidecar(
    tx: EthereumTxEnvelope<TxEip4844Variant<BlobTransactionSidecarVariant>>,
) -> (Transaction, Option<BlobTransactionSidecarVariant>) {
    let signed = match tx {
        EthereumTxEnvelope::Legacy(tx) => return (Transaction::Legacy(tx), None),
        EthereumTxEnvelope::Eip2930(tx) => return (Transaction::Eip2930(tx), None),
        EthereumTxEnvelope::Eip1559(tx) => return (Transaction::Eip1559(tx), None),
        EthereumTxEnvelope::Eip7702(tx) => return (Transaction::Eip7702(tx), None),
        EthereumTxEnvelope::Eip4844(signed) => signed,
    };
    let (tx, signature, hash) = signed.into_parts();
    let (tx, sidecar) = match tx {
        TxEip4844Variant::TxEip4844(tx) => (tx, None),
        TxEip4844Variant::TxEip4844WithSidecar(tx) => (tx.tx, Some(tx.sidecar)),
    };
    (Transaction::Eip4844(Signed::new_unchecked(tx, signature, hash)), sidecar)
}
