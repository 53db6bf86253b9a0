//! How a caller names a block, and which block that is.

use crate::{
    ApiError, RpcContext,
    api::Answer,
    args::json_error,
    hex::{Hash, Quantity, from_text, parse_fixed, parse_u64},
    pending::{self, AskedState},
};
use alloy_primitives::B256;
use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;
use starling_builder::Built;
use starling_primitives::{BlockRef, Header};
use starling_state::{BlockId, ChainView, KeptBlock};
use std::sync::Arc;

/// A block by number or by what it is to the chain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum BlockTag {
    /// The genesis block.
    Earliest,
    /// The block the consensus called final.
    Finalized,
    /// The block the consensus called safe.
    Safe,
    /// The head.
    #[default]
    Latest,
    /// The block that would come next ([`RpcContext::pending`]); where nobody can say, the head.
    Pending,
    /// By number.
    Number(u64),
}

/// A block by tag or by hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlockSelector {
    /// By tag or number, on the canonical chain.
    Tag(BlockTag),
    /// By hash.
    Hash {
        /// keccak of the header.
        hash: B256,
        /// Side branches are an error.
        require_canonical: bool,
    },
}

impl Default for BlockSelector {
    fn default() -> Self {
        Self::Tag(BlockTag::Latest)
    }
}

fn parse_tag(text: &str) -> Result<BlockTag, String> {
    Ok(match text {
        "earliest" => BlockTag::Earliest,
        "finalized" => BlockTag::Finalized,
        "safe" => BlockTag::Safe,
        "latest" => BlockTag::Latest,
        "pending" => BlockTag::Pending,
        number => match parse_u64(number)? {
            number if number > i64::MAX as u64 => return Err("blocknumber too high".into()),
            number => BlockTag::Number(number),
        },
    })
}

/// Digits of a hash with its prefix; a block number is never that long.
const HASH_TEXT_LENGTH: usize = 66;

fn parse_selector(text: &str) -> Result<BlockSelector, String> {
    if text.len() == HASH_TEXT_LENGTH {
        let hash = B256::from(parse_fixed::<32>(text, "a hash")?);
        return Ok(BlockSelector::Hash { hash, require_canonical: false });
    }
    parse_tag(text).map(BlockSelector::Tag)
}

impl<'de> Deserialize<'de> for BlockTag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, parse_tag)
    }
}

/// The object form of EIP-1898.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockObject {
    block_hash: Option<Hash>,
    block_number: Option<BlockTag>,
    #[serde(default)]
    require_canonical: bool,
}

impl<'de> Deserialize<'de> for BlockSelector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = <&RawValue>::deserialize(deserializer)?;
        if !value.get().starts_with('{') {
            let text: String =
                serde_json::from_str(value.get()).map_err(|error| de::Error::custom(json_error(&error)))?;
            return parse_selector(&text).map_err(de::Error::custom);
        }
        let object: BlockObject =
            serde_json::from_str(value.get()).map_err(|error| de::Error::custom(json_error(&error)))?;
        match (object.block_hash, object.block_number) {
            (Some(_), Some(_)) => {
                Err(de::Error::custom("cannot specify both BlockHash and BlockNumber, choose one or the other"))
            }
            (None, None) => Err(de::Error::custom("must specify either BlockHash or BlockNumber")),
            (Some(Hash(hash)), None) => Ok(Self::Hash { hash, require_canonical: object.require_canonical }),
            (None, Some(tag)) => Ok(Self::Tag(tag)),
        }
    }
}

/// How many blocks, as `eth_feeHistory` takes it: a quantity or a plain number.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged)]
pub(crate) enum Count {
    /// `"0x5"`
    Quantity(Quantity),
    /// `5`
    Number(u64),
}

impl Count {
    pub(crate) fn get(self) -> u64 {
        match self {
            Self::Quantity(Quantity(count)) | Self::Number(count) => count,
        }
    }
}

impl BlockTag {
    /// Where the block is to be looked for. Safe and finalized are errors until the consensus has named one.
    pub(crate) fn id(self, view: &ChainView) -> Answer<BlockId> {
        let named = |block: Option<BlockRef>, name: &str| {
            let block = block.ok_or_else(|| ApiError::server(format!("{name} block not found")))?;
            Ok(BlockId::Hash(block.hash))
        };
        match self {
            Self::Earliest => Ok(BlockId::Number(0)),
            Self::Finalized => named(view.finalized(), "finalized"),
            Self::Safe => named(view.safe(), "safe"),
            Self::Latest | Self::Pending => Ok(BlockId::Hash(view.head().hash)),
            Self::Number(number) => Ok(BlockId::Number(number)),
        }
    }
}

impl BlockSelector {
    /// Where the block is to be looked for; a side branch's hash is an error if the caller says so.
    fn id(self, view: &ChainView) -> Answer<BlockId> {
        match self {
            Self::Tag(tag) => tag.id(view),
            Self::Hash { hash, require_canonical } => {
                if require_canonical
                    && let Some(at) = view.find(BlockId::Hash(hash))?
                    && !view.is_canonical(at)?
                {
                    return Err(ApiError::server("hash is not currently canonical"));
                }
                Ok(BlockId::Hash(hash))
            }
        }
    }

    /// The pending block, if that is what is asked for and there is one.
    fn pending(self, context: &RpcContext, view: &ChainView) -> Answer<Option<Arc<Built>>> {
        match self {
            Self::Tag(BlockTag::Pending) => context.pending(view),
            _ => Ok(None),
        }
    }

    /// The block, none if it is not kept. Only a pending one is above the view's head.
    pub(crate) fn block(self, context: &RpcContext, view: &ChainView) -> Answer<Option<KeptBlock>> {
        match self.pending(context, view)? {
            Some(built) => Ok(Some(pending::kept(&built))),
            None => kept_block(view, self.id(view)?),
        }
    }

    /// The header, none if it is not kept.
    pub(crate) fn header(self, context: &RpcContext, view: &ChainView) -> Answer<Option<Header>> {
        match self.pending(context, view)? {
            Some(built) => Ok(Some(built.block.header.clone())),
            None => Ok(view.header(self.id(view)?)?),
        }
    }

    /// The header and the state after the block. That it is not kept is an error.
    pub(crate) fn state(self, context: &RpcContext, view: &ChainView) -> Answer<(Header, AskedState)> {
        if let Some(built) = self.pending(context, view)? {
            return Ok((built.block.header.clone(), AskedState::after(view.head_state(), built)));
        }
        let id = self.id(view)?;
        let missing = || match self {
            Self::Tag(_) => ApiError::server("header not found"),
            Self::Hash { .. } => ApiError::server("header for hash not found"),
        };
        let at = view.find(id)?.ok_or_else(missing)?;
        let header = view.header(id)?.ok_or_else(missing)?;
        Ok((header, view.state_at(at)?.into()))
    }
}

/// A block with body and receipts, none if there is no such block. A block whose header alone is kept is an error.
pub(crate) fn kept_block(view: &ChainView, id: BlockId) -> Answer<Option<KeptBlock>> {
    match view.block(id)? {
        Some(block) => Ok(Some(block)),
        None if view.header(id)?.is_some() => Err(ApiError::Pruned),
        None => Ok(None),
    }
}

impl RpcContext {
    /// The state after a block, the head's by default.
    pub(crate) fn state(&self, selector: Option<BlockSelector>) -> Answer<AskedState> {
        Ok(selector.unwrap_or_default().state(self, &self.chain.view())?.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expect: Result<BlockSelector, &str>) {
        let got = serde_json::from_str::<BlockSelector>(json);
        match (got, expect) {
            (Ok(got), Ok(want)) => assert_eq!(got, want, "{json}"),
            (Err(got), Err(want)) => assert!(got.to_string().starts_with(want), "{json}: {got}"),
            (got, want) => panic!("{json}: {got:?}, expected {want:?}"),
        }
    }

    #[test]
    fn selectors() {
        let hash = B256::repeat_byte(0x12);
        let tag = |tag| Ok(BlockSelector::Tag(tag));
        check("\"latest\"", tag(BlockTag::Latest));
        check("\"pending\"", tag(BlockTag::Pending));
        check("\"safe\"", tag(BlockTag::Safe));
        check("\"finalized\"", tag(BlockTag::Finalized));
        check("\"earliest\"", tag(BlockTag::Earliest));
        check("\"0x0\"", tag(BlockTag::Number(0)));
        check("\"0x1b\"", tag(BlockTag::Number(27)));
        check("{\"blockNumber\":\"0x1\"}", tag(BlockTag::Number(1)));
        check("{\"blockNumber\":\"latest\"}", tag(BlockTag::Latest));
        check(&format!("\"{hash}\""), Ok(BlockSelector::Hash { hash, require_canonical: false }));
        check(&format!("{{\"blockHash\":\"{hash}\"}}"), Ok(BlockSelector::Hash { hash, require_canonical: false }));
        check(
            &format!("{{\"blockHash\":\"{hash}\",\"requireCanonical\":true}}"),
            Ok(BlockSelector::Hash { hash, require_canonical: true }),
        );
        check("\"\"", Err("empty hex string"));
        check("\"foo\"", Err("hex string without 0x prefix"));
        check("\"0x01\"", Err("hex number with leading zero digits"));
        check("\"0xffffffffffffffff\"", Err("blocknumber too high"));
        check("5", Err("invalid type"));
        check("{}", Err("must specify either"));
        check(&format!("{{\"blockHash\":\"{hash}\",\"blockNumber\":\"0x1\"}}"), Err("cannot specify both"));
    }
}
