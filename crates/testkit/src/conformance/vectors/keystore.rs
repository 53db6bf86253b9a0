//! Key files: the private key behind a password.

use super::fields::{self, bytes, same, text};
use crate::conformance::{
    archive::Member,
    cases::{Cases, Failure},
};
use alloy_primitives::Bytes;
use serde_json::Value;
use starling_keystore::{KeystoreError, decrypt};

pub(super) fn run(member: &Member, cases: &mut Cases<'_>) -> Result<(), String> {
    for (name, case) in fields::cases_of(member)? {
        cases.case(&name, "", || check(&case));
    }
    Ok(())
}

fn check(case: &Value) -> Result<(), Failure> {
    let file = case["json"].to_string();
    let password = text(case, "password")?;
    let secret = decrypt(file.as_bytes(), password.as_bytes()).map_err(|error| error.to_string())?;
    same("private key", Bytes::copy_from_slice(&*secret), bytes(case, "priv")?)?;
    match decrypt(file.as_bytes(), format!("{password} ").as_bytes()) {
        Err(KeystoreError::Password) => Ok(()),
        _ => Err("a wrong password opens it".to_string().into()),
    }
}
