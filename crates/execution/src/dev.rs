//! Changes of the state that no transaction makes, on development chains only ([`DevRecord`](starling_chainspec::DevRecord)).

use crate::overlay::{Info, Overlay};
use alloy_primitives::{Address, keccak256};
use starling_chainspec::DevChange;
use starling_primitives::{EMPTY_CODE_HASH, ReadError};

/// Makes changes in their order. Under EIP-161 (`clear_empty`) an account that is empty afterwards, and has no storage,
/// ceases to exist. No block access list (EIP-7928) names them: no transaction of the block makes them.
pub(crate) fn apply(overlay: &mut Overlay<'_>, changes: &[DevChange], clear_empty: bool) -> Result<(), ReadError> {
    for change in changes {
        match change {
            DevChange::Balance(address, wei) => set(overlay, address, clear_empty, |info| info.balance = *wei)?,
            DevChange::Nonce(address, nonce) => set(overlay, address, clear_empty, |info| info.nonce = *nonce)?,
            DevChange::Code(address, code) => {
                let hash = if code.is_empty() { EMPTY_CODE_HASH } else { keccak256(code) };
                overlay.deploy_code(hash, code.clone());
                set(overlay, address, clear_empty, |info| info.code_hash = hash)?;
            }
            DevChange::Slot(address, slot, value) => {
                overlay.slot(address, *slot)?;
                overlay.entry(address)?.set_slot(*slot, *value);
                set(overlay, address, clear_empty, |_| {})?;
            }
        }
    }
    Ok(())
}

fn set(
    overlay: &mut Overlay<'_>,
    address: &Address,
    clear_empty: bool,
    change: impl FnOnce(&mut Info),
) -> Result<(), ReadError> {
    let mut info = overlay.account(address)?.unwrap_or_default();
    change(&mut info);
    let is_gone = clear_empty && info.is_empty() && !overlay.has_storage(address)?;
    let entry = overlay.entry(address)?;
    if is_gone {
        entry.remove()
    } else {
        entry.now = Some(info)
    }
    Ok(())
}
