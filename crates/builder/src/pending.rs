use crate::{Attributes, Authorship, BuildError, Built, Candidates, Limits, Parent, build, build_for_seal};
use starling_primitives::{Address, Bytes};
use starling_state::ChainView;

/// The block that could come next: what the `pending` tag shows. It is on the head, at `now` (unix seconds) or just
/// after the head if that lies ahead, without withdrawals, and nobody ever proposes it.
pub fn pending_block(
    view: &ChainView,
    fee_recipient: Address,
    gas_limit_target: u64,
    now: u64,
    candidates: &mut dyn Candidates,
    limits: &Limits,
) -> Result<Built, BuildError> {
    let (spec, head) = (view.spec(), view.head_header());
    let attributes = Attributes {
        timestamp: now.max(head.timestamp.saturating_add(1)),
        fee_recipient,
        prev_randao: head.mix_hash,
        withdrawals: None,
        parent_beacon_block_root: None,
        slot_number: None,
        gas_limit_target,
        extra_data: Bytes::new(),
    };
    let state = view.head_state();
    let parent = Parent { header: head, state: &state };
    if spec
        .consensus
        .terminal_total_difficulty()
        .is_some_and(|terminal| head.difficulty.is_zero() || terminal.is_zero())
    {
        return build(spec, parent, &attributes, candidates, limits);
    }
    let authorship = Authorship { author: fee_recipient, difficulty: head.difficulty, nonce: head.nonce };
    build_for_seal(spec, parent, &attributes, &authorship, candidates, limits)
}
