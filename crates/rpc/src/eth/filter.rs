//! Which logs a caller wants.

use crate::{
    args::json_error,
    hex::{Addr, Hash},
    tags::BlockTag,
};
use alloy_primitives::{Address, B256, Bloom, BloomInput, Log};
use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

/// Topics a log can have.
const TOPICS_MAX: usize = 4;

/// A log filter: blocks, addresses, topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogFilter {
    pub(super) blocks: FilterBlocks,
    /// Any of these; all, if empty.
    pub(super) addresses: Vec<Address>,
    /// At each position any of these; all, if empty. A log has at least as many topics as there are positions.
    pub(super) topics: Vec<Vec<B256>>,
}

/// Where a filter looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FilterBlocks {
    /// One block.
    Hash(B256),
    /// Both ends included, on the canonical chain.
    Range(BlockTag, BlockTag),
}

impl Default for LogFilter {
    /// All logs of the head.
    fn default() -> Self {
        let blocks = FilterBlocks::Range(BlockTag::Latest, BlockTag::Latest);
        Self { blocks, addresses: Vec::new(), topics: Vec::new() }
    }
}

impl LogFilter {
    /// Whether a block or receipt with this bloom can hold a log that is wanted.
    pub(crate) fn may_match(&self, bloom: &Bloom) -> bool {
        let has = |bytes: &[u8]| bloom.contains_input(BloomInput::Raw(bytes));
        let any = |list: &[B256]| list.is_empty() || list.iter().any(|topic| has(topic.as_slice()));
        (self.addresses.is_empty() || self.addresses.iter().any(|address| has(address.as_slice())))
            && self.topics.iter().all(|position| any(position))
    }

    /// Whether a log is wanted.
    pub(crate) fn matches(&self, log: &Log) -> bool {
        let topics = log.topics();
        let wanted = |(position, topic): (&Vec<B256>, &B256)| position.is_empty() || position.contains(topic);
        (self.addresses.is_empty() || self.addresses.contains(&log.address))
            && topics.len() >= self.topics.len()
            && self.topics.iter().zip(topics).all(wanted)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FilterArgs {
    block_hash: Option<Hash>,
    from_block: Option<BlockTag>,
    to_block: Option<BlockTag>,
    address: Option<OneOrMany<Addr>>,
    topics: Option<Vec<Option<OneOrMany<Option<Hash>>>>>,
}

/// A value, or a list of them.
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

/// By the first character, so that errors speak of what was meant.
impl<'de, T: for<'a> Deserialize<'a>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = <&RawValue>::deserialize(deserializer)?.get();
        let read = match json.starts_with('[') {
            true => serde_json::from_str(json).map(Self::Many),
            false => serde_json::from_str(json).map(Self::One),
        };
        read.map_err(|error| de::Error::custom(json_error(&error)))
    }
}

impl<T> OneOrMany<T> {
    fn into_vec(self) -> Vec<T> {
        match self {
            Self::One(value) => vec![value],
            Self::Many(values) => values,
        }
    }
}

/// The topics of one position; null anywhere in it stands for all.
fn position(wanted: Option<OneOrMany<Option<Hash>>>) -> Vec<B256> {
    let list = wanted.map(OneOrMany::into_vec).unwrap_or_default();
    list.into_iter().map(|topic| topic.map(|Hash(hash)| hash)).collect::<Option<_>>().unwrap_or_default()
}

impl<'de> Deserialize<'de> for LogFilter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let args = FilterArgs::deserialize(deserializer)?;
        let blocks = match (args.block_hash, args.from_block, args.to_block) {
            (Some(Hash(hash)), None, None) => FilterBlocks::Hash(hash),
            (Some(_), ..) => {
                let message = "cannot specify both BlockHash and FromBlock/ToBlock, choose one or the other";
                return Err(de::Error::custom(message));
            }
            (None, from, to) => FilterBlocks::Range(from.unwrap_or_default(), to.unwrap_or_default()),
        };
        let topics = args.topics.unwrap_or_default();
        if topics.len() > TOPICS_MAX {
            return Err(de::Error::custom("exceed max topics"));
        }
        let addresses = args.address.map(OneOrMany::into_vec).unwrap_or_default();
        Ok(Self {
            blocks,
            addresses: addresses.into_iter().map(|Addr(address)| address).collect(),
            topics: topics.into_iter().map(position).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Bytes;

    const A: Address = Address::repeat_byte(0xaa);
    const T: B256 = B256::repeat_byte(1);
    const U: B256 = B256::repeat_byte(2);

    fn check(json: &str, topics: &[B256], expect: bool) {
        let filter: LogFilter = serde_json::from_str(json).unwrap();
        let log = Log::new_unchecked(A, topics.to_vec(), Bytes::new());
        assert_eq!(filter.matches(&log), expect, "{json}");
        if expect {
            assert!(filter.may_match(&alloy_primitives::logs_bloom([&log])), "{json}: the bloom hides a match");
        }
    }

    #[test]
    fn matching() {
        check("{}", &[], true);
        check(&format!(r#"{{"address":"{A}"}}"#), &[T], true);
        check(&format!(r#"{{"address":["{A}"]}}"#), &[T], true);
        check(&format!(r#"{{"address":"{}"}}"#, Address::ZERO), &[T], false);
        check(r#"{"address":[]}"#, &[T], true);
        check(&format!(r#"{{"topics":["{T}"]}}"#), &[T, U], true);
        check(&format!(r#"{{"topics":["{U}"]}}"#), &[T, U], false);
        check(&format!(r#"{{"topics":[null,"{U}"]}}"#), &[T, U], true);
        check(&format!(r#"{{"topics":[[],["{T}","{U}"]]}}"#), &[T, U], true);
        check(&format!(r#"{{"topics":[["{U}",null]]}}"#), &[T], true);
        // A null position still asks for a topic to be there.
        check(r#"{"topics":[null,null]}"#, &[T], false);
        check(r#"{"topics":[null]}"#, &[], false);
    }

    #[test]
    fn bad_filters() {
        let fails = |json: &str| serde_json::from_str::<LogFilter>(json).unwrap_err().to_string();
        assert!(fails(r#"{"topics":[[],[],[],[],[]]}"#).starts_with("exceed max topics"));
        assert!(fails(&format!(r#"{{"blockHash":"{T}","fromBlock":"0x1"}}"#)).starts_with("cannot specify both"));
        fails(r#"{"address":"0x12"}"#);
        fails(r#"{"topics":"0x12"}"#);
        fails("[]");
    }
}
