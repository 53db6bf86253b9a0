use super::{block_access_list::AccessRecorder, database::OverlayDb};
use crate::overlay::Info;
use alloy_primitives::Address;
use revm::state::{Account, EvmState};
use starling_primitives::ReadError;

/// Applies a transaction's end state to the overlay; `state` is left empty, with its allocation.
/// `clear_empty`: touched accounts that are empty cease to exist (EIP-161, since Spurious Dragon).
pub(super) fn apply(
    state: &mut EvmState,
    db: &mut OverlayDb<'_>,
    clear_empty: bool,
    mut recorder: Option<&mut AccessRecorder>,
) -> Result<(), ReadError> {
    for (address, account) in state.drain() {
        if let Some(recorder) = recorder.as_deref_mut() {
            recorder.account(address, &account);
        }
        if account.is_touched() {
            apply_account(db, address, account, clear_empty)?;
        }
    }
    Ok(())
}

fn apply_account(
    db: &mut OverlayDb<'_>,
    address: Address,
    mut account: Account,
    clear_empty: bool,
) -> Result<(), ReadError> {
    let entry = db.overlay.entry(&address)?;
    if account.is_selfdestructed() || (clear_empty && account.is_empty()) {
        // What never was has nothing to lose; a wipe flag would only cost later reads of it their way down.
        if entry.now.is_some() {
            entry.remove();
        }
        return Ok(());
    }
    let now = Info { nonce: account.info.nonce, balance: account.info.balance, code_hash: account.info.code_hash };
    let code_changed = entry.now.unwrap_or_default().code_hash != now.code_hash;
    entry.now = Some(now);
    for (key, slot) in account.storage.drain() {
        if slot.is_changed() {
            entry.set_slot(key, slot.present_value);
        }
    }
    if code_changed
        && now.has_code()
        && let Some(code) = account.info.code.take()
    {
        db.deploy(now.code_hash, code);
    }
    Ok(())
}
