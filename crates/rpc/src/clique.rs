//! `clique_*`: who signs a chain of proof of authority, and what this node's signer votes for. As geth had it until 1.13.

use crate::{
    ApiError, RpcContext,
    api::{Answer, Api},
    args::Args,
    hex::{Addr, Hash},
    tags::BlockTag,
};
use alloy_primitives::{Address, B256};
use alloy_rlp::Decodable;
use serde::{Deserialize, Serialize};
use starling_primitives::{BlockRef, Header};
use starling_state::{BlockId, ChainView};
use starling_validation::CliqueSnapshot;
use std::{collections::BTreeMap, sync::Arc};

/// Blocks that `clique_status` looks at.
const STATUS_BLOCKS: u64 = 64;

pub(crate) fn register(api: &mut Api) {
    api.query("clique_getSnapshot", |context, args| Ok(SnapshotJson::new(&*snapshot(context, by_number(args)?)?)));
    api.query("clique_getSnapshotAtHash", |context, args| Ok(SnapshotJson::new(&*snapshot(context, by_hash(args)?)?)));
    api.query("clique_getSigners", |context, args| Ok(signers(&*snapshot(context, by_number(args)?)?)));
    api.query("clique_getSignersAtHash", |context, args| Ok(signers(&*snapshot(context, by_hash(args)?)?)));
    api.query("clique_getSigner", signer);
    api.query("clique_status", status);
    api.light("clique_proposals", proposals);
    api.light("clique_propose", propose);
    api.light("clique_discard", discard);
}

fn by_number(mut args: Args<'_>) -> Answer<Wanted> {
    let tag: Option<BlockTag> = args.optional()?;
    args.end()?;
    Ok(Wanted::Tag(tag.unwrap_or(BlockTag::Latest)))
}

fn by_hash(mut args: Args<'_>) -> Answer<Wanted> {
    let Hash(hash) = args.required()?;
    args.end()?;
    Ok(Wanted::Hash(hash))
}

/// The block whose signers are asked for.
enum Wanted {
    Tag(BlockTag),
    Hash(B256),
}

fn unknown_block() -> ApiError {
    ApiError::server("unknown block")
}

fn snapshot(context: &RpcContext, wanted: Wanted) -> Answer<Arc<CliqueSnapshot>> {
    let view = context.chain.view();
    let id = match wanted {
        Wanted::Tag(tag) => tag.id(&view)?,
        Wanted::Hash(hash) => BlockId::Hash(hash),
    };
    let at = view.find(id)?.ok_or_else(unknown_block)?;
    snapshot_at(&view, at)
}

fn snapshot_at(view: &ChainView, at: BlockRef) -> Answer<Arc<CliqueSnapshot>> {
    view.clique_snapshot(at)?.ok_or_else(|| ApiError::server("this chain has no signers: it is none of Clique"))
}

fn signers(snapshot: &CliqueSnapshot) -> Vec<Address> {
    snapshot.signers.iter().copied().collect()
}

/// An object without members: geth's set of addresses has such values.
#[derive(Serialize)]
struct Nothing {}

#[derive(Serialize)]
struct SnapshotJson {
    number: u64,
    hash: B256,
    signers: BTreeMap<Address, Nothing>,
    recents: BTreeMap<u64, Address>,
    votes: Vec<VoteJson>,
    tally: BTreeMap<Address, TallyJson>,
}

#[derive(Serialize)]
struct VoteJson {
    signer: Address,
    block: u64,
    address: Address,
    authorize: bool,
}

#[derive(Serialize)]
struct TallyJson {
    authorize: bool,
    votes: usize,
}

impl SnapshotJson {
    fn new(snapshot: &CliqueSnapshot) -> Self {
        let vote = |vote: &starling_validation::CliqueVote| VoteJson {
            signer: vote.signer,
            block: vote.block,
            address: vote.address,
            authorize: vote.authorize,
        };
        let tally = |vote: &starling_validation::CliqueVote| {
            let (authorize, votes) = snapshot.tally(&vote.address)?;
            Some((vote.address, TallyJson { authorize, votes }))
        };
        Self {
            number: snapshot.at.number,
            hash: snapshot.at.hash,
            signers: snapshot.signers.iter().map(|signer| (*signer, Nothing {})).collect(),
            recents: snapshot.recents.clone(),
            votes: snapshot.votes.iter().map(vote).collect(),
            tally: snapshot.votes.iter().filter_map(tally).collect(),
        }
    }
}

/// A block by number, tag or hash, or a header's RLP.
#[derive(Deserialize)]
#[serde(untagged)]
enum SignedArgs {
    Hash(Hash),
    Tag(BlockTag),
    Rlp(crate::hex::Data),
}

/// Who signed a block or a header.
fn signer(context: &RpcContext, mut args: Args<'_>) -> Answer<Address> {
    let wanted: Option<SignedArgs> = args.optional()?;
    args.end()?;
    let view = context.chain.view();
    let header = match wanted {
        None => view.head_header().clone(),
        Some(SignedArgs::Tag(tag)) => view.header(tag.id(&view)?)?.ok_or_else(unknown_block)?,
        Some(SignedArgs::Hash(Hash(hash))) => view.header(BlockId::Hash(hash))?.ok_or_else(unknown_block)?,
        Some(SignedArgs::Rlp(crate::hex::Data(rlp))) => {
            Header::decode(&mut rlp.as_ref()).map_err(|error| ApiError::params(format!("not a header: {error}")))?
        }
    };
    context.chain.spec().consensus.author(&header).ok_or_else(|| ApiError::server("missing signature"))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusJson {
    inturn_percent: f64,
    sealer_activity: BTreeMap<Address, u64>,
    num_blocks: u64,
}

/// How often each signer signed the last blocks, and how many of them were in turn.
fn status(context: &RpcContext, args: Args<'_>) -> Answer<StatusJson> {
    args.end()?;
    let view = context.chain.view();
    let head = view.head().number;
    let snapshot = snapshot_at(&view, view.head())?;
    let first = head.saturating_sub(STATUS_BLOCKS - 1).max(1);
    let mut activity: BTreeMap<_, _> = snapshot.signers.iter().map(|signer| (*signer, 0)).collect();
    let mut in_turn = 0;
    for number in first..=head {
        let header = view.header(BlockId::Number(number))?.ok_or_else(unknown_block)?;
        in_turn +=
            u64::from(header.difficulty == alloy_primitives::U256::from(starling_validation::clique::CLIQUE_IN_TURN));
        if let Some(signer) = context.chain.spec().consensus.author(&header) {
            *activity.entry(signer).or_default() += 1;
        }
    }
    let num_blocks = (head + 1).saturating_sub(first);
    let inturn_percent = if num_blocks == 0 { 0.0 } else { 100.0 * in_turn as f64 / num_blocks as f64 };
    Ok(StatusJson { inturn_percent, sealer_activity: activity, num_blocks })
}

fn proposals(context: &RpcContext, args: Args<'_>) -> Answer<BTreeMap<Address, bool>> {
    args.end()?;
    Ok(context.proposals.all().into_iter().collect())
}

fn propose(context: &RpcContext, mut args: Args<'_>) -> Answer<()> {
    let (Addr(account), authorize) = (args.required()?, args.required()?);
    args.end()?;
    match context.proposals.propose(account, authorize) {
        true => Ok(()),
        false => Err(ApiError::TooLarge("too many proposals: discard some".into())),
    }
}

fn discard(context: &RpcContext, mut args: Args<'_>) -> Answer<()> {
    let Addr(account) = args.required()?;
    args.end()?;
    context.proposals.discard(&account);
    Ok(())
}
