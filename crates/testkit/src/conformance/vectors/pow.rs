//! Two Ethash seals, with what comes out on the way.

use super::fields::{self, bytes, same, text};
use crate::conformance::{
    archive::Member,
    cases::{Cases, Failure},
};
use alloy_primitives::U256;
use serde_json::Value;
use starling_primitives::Header;
use starling_validation::{SealError, verify_seal};

pub(super) fn run(member: &Member, cases: &mut Cases<'_>) -> Result<(), String> {
    for (name, case) in fields::cases_of(member)? {
        cases.case(&name, "", || check(&case));
    }
    Ok(())
}

fn check(case: &Value) -> Result<(), Failure> {
    let header: Header = alloy_rlp::decode_exact(bytes(case, "header")?).map_err(|error| error.to_string())?;
    same("nonce", header.nonce, text(case, "nonce")?.parse().map_err(|error| format!("nonce: {error}"))?)?;
    let result = U256::from_str_radix(text(case, "result")?, 16).map_err(|error| error.to_string())?;
    // Mix hash and value are fixed; the work is not always enough for the difficulty that the header names.
    match verify_seal(&header) {
        Ok(()) if result <= U256::MAX / header.difficulty => {}
        Ok(()) => return Err("the seal holds although its value is above the bound".to_string().into()),
        Err(SealError::Work { value, .. }) => same("value", value, result)?,
        Err(other) => return Err(other.to_string().into()),
    }
    let altered = Header { gas_used: header.gas_used + 1, ..header };
    match verify_seal(&altered) {
        Err(SealError::MixHash { .. }) => Ok(()),
        other => Err(format!("the seal of another header: {other:?}").into()),
    }
}
