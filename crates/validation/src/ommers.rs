//! Ommers: blocks beside the chain that a block of proof of work pays for. `validate_ommers` of the
//! execution specs.
//!
//! ```text
//!  7        6        5    …    1 = parent
//! ancestor─ancestor─ancestor ─ ancestor ─ block
//!       └─ oldest ommer allowed (6 back)    │
//!                       youngest (a sibling of the parent)
//! ```

use crate::{Ancestry, CheckOptions, HeaderError, OmmerRule, PreparedBlock, header::check_header};
use starling_chainspec::ChainSpec;
use starling_primitives::{B256, Header};

/// Most ommers in a block.
const OMMERS_MAX: usize = 2;
/// How many generations back an ommer may lie; its parent lies one further.
const OMMER_DEPTH_MAX: usize = 6;

/// Checks a block's ommers against its ancestors.
pub(crate) fn check_ommers(
    spec: &ChainSpec,
    block: &PreparedBlock,
    ancestry: &Ancestry,
    options: CheckOptions,
) -> Result<(), HeaderError> {
    let ommers = &block.block.body.ommers;
    if ommers.len() > OMMERS_MAX {
        return Err(HeaderError::OmmersCount { count: ommers.len() });
    }
    let hashes: Vec<B256> = ommers.iter().map(Header::hash_slow).collect();
    for (index, (ommer, hash)) in ommers.iter().zip(&hashes).enumerate() {
        let twice = hashes.iter().take(index).any(|earlier| earlier == hash);
        let checked = if twice { Err(OmmerRule::Twice) } else { check_ommer(spec, ommer, *hash, ancestry, options) };
        checked.map_err(|rule| HeaderError::Ommer { index, rule })?;
    }
    Ok(())
}

fn check_ommer(
    spec: &ChainSpec,
    ommer: &Header,
    hash: B256,
    ancestry: &Ancestry,
    options: CheckOptions,
) -> Result<(), OmmerRule> {
    let generations = ancestry.generations.get(..OMMER_DEPTH_MAX + 1).unwrap_or(&ancestry.generations);
    if generations.iter().any(|(ancestor, _, _)| *ancestor == hash) {
        return Err(OmmerRule::Ancestor);
    }
    if generations.iter().any(|(_, _, included)| included.contains(&hash)) {
        return Err(OmmerRule::Included);
    }
    if ommer.parent_hash == ancestry.parent.0 {
        return Err(OmmerRule::Sibling);
    }
    let parent = generations.iter().find(|(ancestor, _, _)| *ancestor == ommer.parent_hash);
    let (_, parent, _) = parent.ok_or(OmmerRule::ParentNotAncestor)?;
    check_ommer_header(spec, ommer, parent, options).map_err(|error| OmmerRule::Header(Box::new(error)))
}

fn check_ommer_header(
    spec: &ChainSpec,
    ommer: &Header,
    parent: &Header,
    options: CheckOptions,
) -> Result<(), HeaderError> {
    // its including block is one of proof of work, and so is everything before that
    if spec.is_proof_of_stake(ommer) {
        let got = ommer.difficulty;
        return Err(HeaderError::Difficulty { got, expected: parent.difficulty });
    }
    check_header(spec, ommer, parent)?;
    if options.seal {
        crate::verify_seal(ommer)?;
    }
    Ok(())
}
