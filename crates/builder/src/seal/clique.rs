//! A Clique signer's next block (EIP-225).

use crate::{Attributes, Authorship};
use starling_chainspec::{CLIQUE_SEAL_BYTES, ChainSpec};
use starling_primitives::{Address, B64, B256, Bytes, Header, U256};
use starling_validation::{
    CliqueSnapshot,
    clique::{
        CLIQUE_IN_TURN, CLIQUE_OUT_OF_TURN, CLIQUE_VANITY_BYTES, CLIQUE_VOTE_AUTHORIZE, CLIQUE_VOTE_DROP, clique_terms,
    },
};
use std::time::Duration;

/// Bytes of a signer's own in the extra data; the rest of the vanity is zeros.
pub const VANITY_BYTES_MAX: usize = CLIQUE_VANITY_BYTES;

/// How far the head may lie ahead of the clock before the clock counts as wrong: what geth lets a block be ahead.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(15);

/// A signer that is not in turn waits up to this long for each signer that may go before it (EIP-225).
const WIGGLE: Duration = Duration::from_millis(500);

/// What a signer wants.
#[derive(Debug, Clone)]
pub struct Order<'a> {
    /// Who signs.
    pub signer: Address,
    /// Who should sign, or sign no more: its open proposals.
    pub proposals: &'a [(Address, bool)],
    /// The beginning of the extra data; what is over [`VANITY_BYTES_MAX`] is left out.
    pub vanity: &'a [u8],
    /// The gas limit to move to.
    pub gas_limit_target: u64,
}

/// Whether a signer makes the block after a head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// It is none of the signers.
    NotASigner,
    /// It signed lately, and may again from this block on.
    Wait {
        /// A block number.
        from: u64,
    },
    /// The head is from the future: the clock, or the one of the head's signer, is wrong.
    ClockBehind {
        /// By this much.
        by: Duration,
    },
    /// It makes this one.
    Make(Box<Plan>),
}

/// A block that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What the block is, with room for the seal.
    pub attributes: Attributes,
    /// Who gets the fees, and whose turn it is.
    pub authorship: Authorship,
    /// When it may be shown to others, since 1970: not before its own timestamp, and later if it is out of turn.
    pub not_before: Duration,
}

/// What a signer does after a head. `now` is since 1970; `random` decides the delay and which proposal is voted on.
pub fn turn(
    spec: &ChainSpec,
    snapshot: &CliqueSnapshot,
    head: &Header,
    order: &Order<'_>,
    now: Duration,
    random: u64,
) -> Turn {
    let Some(from) = snapshot.may_sign_from(&order.signer) else { return Turn::NotASigner };
    let number = head.number.saturating_add(1);
    if from > number {
        return Turn::Wait { from };
    }
    let ahead = Duration::from_secs(head.timestamp).saturating_sub(now);
    if ahead > CLOCK_SKEW_MAX {
        return Turn::ClockBehind { by: ahead };
    }
    let (epoch, period) = clique_terms(spec).unwrap_or((u64::MAX, 0));
    let is_checkpoint = number.is_multiple_of(epoch.max(1));
    let in_turn = snapshot.is_in_turn(&order.signer, number);
    let timestamp = head.timestamp.saturating_add(period).max(now.as_secs()).max(head.timestamp.saturating_add(1));
    let vote = if is_checkpoint { None } else { vote(snapshot, order.proposals, random) };
    let (beneficiary, nonce) = match vote {
        Some((account, true)) => (account, CLIQUE_VOTE_AUTHORIZE),
        Some((account, false)) => (account, CLIQUE_VOTE_DROP),
        None => (Address::ZERO, CLIQUE_VOTE_DROP),
    };
    let attributes = Attributes {
        timestamp,
        fee_recipient: beneficiary,
        prev_randao: B256::ZERO,
        withdrawals: None,
        parent_beacon_block_root: None,
        slot_number: None,
        gas_limit_target: order.gas_limit_target,
        extra_data: extra_data(order.vanity, is_checkpoint.then_some(snapshot)),
    };
    let difficulty = U256::from(if in_turn { CLIQUE_IN_TURN } else { CLIQUE_OUT_OF_TURN });
    let authorship = Authorship { author: order.signer, difficulty, nonce: B64::from(nonce) };
    let wiggle = if in_turn { Duration::ZERO } else { wiggle(snapshot, random) };
    let not_before = Duration::from_secs(timestamp) + wiggle;
    Turn::Make(Box::new(Plan { attributes, authorship, not_before }))
}

/// One of the proposals that would change something.
fn vote(snapshot: &CliqueSnapshot, proposals: &[(Address, bool)], random: u64) -> Option<(Address, bool)> {
    let is_open = |(account, authorize): &&(Address, bool)| snapshot.signers.contains(account) != *authorize;
    let open: Vec<_> = proposals.iter().filter(is_open).collect();
    let index = usize::try_from(random.checked_rem(open.len() as u64)?).ok()?;
    open.get(index).map(|vote| **vote)
}

fn wiggle(snapshot: &CliqueSnapshot, random: u64) -> Duration {
    let most = WIGGLE.saturating_mul(u32::try_from(snapshot.wait_blocks()).unwrap_or(u32::MAX));
    let most_ms = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(random.checked_rem(most_ms).unwrap_or(0))
}

/// Vanity, at a checkpoint the signers, and zeros where the seal will stand.
fn extra_data(vanity: &[u8], checkpoint: Option<&CliqueSnapshot>) -> Bytes {
    let mut extra: Vec<u8> = vanity.iter().copied().take(VANITY_BYTES_MAX).collect();
    extra.resize(VANITY_BYTES_MAX, 0);
    for signer in checkpoint.iter().flat_map(|snapshot| &snapshot.signers) {
        extra.extend_from_slice(signer.as_slice());
    }
    extra.resize(extra.len() + CLIQUE_SEAL_BYTES, 0);
    extra.into()
}

/// Puts a seal where the zeros are: r, s, and the parity of y.
pub fn put_seal(header: &mut Header, seal: &[u8; CLIQUE_SEAL_BYTES]) {
    let mut extra = header.extra_data.to_vec();
    if let Some(end) = extra.last_chunk_mut() {
        *end = *seal;
    }
    header.extra_data = extra.into();
}

#[cfg(test)]
mod tests {
    use super::*;
    use starling_chainspec::{Consensus, Fork};
    use starling_primitives::BlockRef;
    use std::collections::{BTreeMap, BTreeSet};

    const NOW: u64 = 1_000;

    fn signer(index: u8) -> Address {
        Address::repeat_byte(index)
    }

    struct Case {
        signers: u8,
        recents: &'static [(u64, u8)],
        head: u64,
        head_timestamp: u64,
        proposals: &'static [(u8, bool)],
    }

    const PLAIN: Case = Case { signers: 3, recents: &[], head: 3, head_timestamp: 995, proposals: &[] };

    fn ask(case: &Case, who: u8, random: u64) -> Turn {
        let mut spec = ChainSpec::up_to(Fork::London);
        spec.consensus = Consensus::Clique { period: 2, epoch: 10, terminal_total_difficulty: None };
        let snapshot = CliqueSnapshot {
            at: BlockRef::new(case.head, B256::ZERO),
            signers: (1..=case.signers).map(signer).collect::<BTreeSet<_>>(),
            recents: case.recents.iter().map(|(number, index)| (*number, signer(*index))).collect::<BTreeMap<_, _>>(),
            votes: Vec::new(),
        };
        let head = Header { number: case.head, timestamp: case.head_timestamp, ..Header::default() };
        let proposals: Vec<_> = case.proposals.iter().map(|(index, vote)| (signer(*index), *vote)).collect();
        let order =
            Order { signer: signer(who), proposals: &proposals, vanity: b"hello", gas_limit_target: 30_000_000 };
        turn(&spec, &snapshot, &head, &order, Duration::from_secs(NOW), random)
    }

    fn plan(case: &Case, who: u8, random: u64) -> Plan {
        match ask(case, who, random) {
            Turn::Make(plan) => *plan,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn who_may_not_or_not_yet() {
        assert_eq!(ask(&PLAIN, 9, 0), Turn::NotASigner);
        assert_eq!(ask(&Case { recents: &[(3, 2)], ..PLAIN }, 2, 0), Turn::Wait { from: 5 });
        assert_eq!(
            ask(&Case { head_timestamp: NOW + 60, ..PLAIN }, 2, 0),
            Turn::ClockBehind { by: Duration::from_secs(60) }
        );
    }

    #[test]
    fn turns_and_delays() {
        // Block 4 with three signers is the second one's.
        let own = plan(&PLAIN, 2, 77);
        assert_eq!((own.authorship.difficulty, own.not_before), (U256::from(2), Duration::from_secs(NOW)));
        assert_eq!((own.authorship.author, own.attributes.timestamp), (signer(2), NOW));
        let other = plan(&PLAIN, 1, 77);
        assert_eq!(other.authorship.difficulty, U256::from(1));
        assert_eq!(other.not_before, Duration::from_secs(NOW) + Duration::from_millis(77));
        // At most half a second for each of the two that may go before it.
        assert_eq!(plan(&PLAIN, 1, 1_001).not_before, Duration::from_secs(NOW) + Duration::from_millis(1));
        // A head of this very second: the period is kept.
        assert_eq!(plan(&Case { head_timestamp: NOW, ..PLAIN }, 2, 0).attributes.timestamp, NOW + 2);
    }

    #[test]
    fn votes_are_cast_while_they_would_change_something() {
        let check = |proposals, random, expect: (Address, u64)| {
            let plan = plan(&Case { proposals, ..PLAIN }, 2, random);
            assert_eq!((plan.attributes.fee_recipient, u64::from(plan.authorship.nonce)), expect);
        };
        check(&[], 0, (Address::ZERO, 0));
        check(&[(9, true)], 0, (signer(9), u64::MAX));
        check(&[(3, false)], 5, (signer(3), 0));
        check(&[(9, true), (3, false)], 1, (signer(3), 0));
        check(&[(9, false), (3, true)], 1, (Address::ZERO, 0));
    }

    #[test]
    fn a_checkpoint_lists_the_signers_and_votes_for_nobody() {
        let plan = plan(&Case { head: 9, proposals: &[(9, true)], ..PLAIN }, 2, 0);
        assert_eq!(plan.attributes.fee_recipient, Address::ZERO);
        let extra = &plan.attributes.extra_data;
        assert_eq!(extra.len(), 32 + 3 * 20 + 65);
        assert_eq!((&extra[..5], &extra[32..52]), (&b"hello"[..], signer(1).as_slice()));
        let mut header = Header { extra_data: extra.clone(), ..Header::default() };
        put_seal(&mut header, &[7; 65]);
        assert_eq!((header.extra_data.len(), &header.extra_data[92..]), (157, &[7; 65][..]));
    }
}
