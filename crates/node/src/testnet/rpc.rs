//! Asking a node.

use crate::{
    commands::{Endpoint, call as call_endpoint},
    failure::Failure,
};
use serde_json::Value;

/// One call; its result.
pub(super) fn call(url: &str, method: &str, params: &[Value]) -> Result<Value, Failure> {
    let mut answer = call_endpoint(&Endpoint::Http(url.into()), method, params)?;
    if let Some(error) = answer.get("error") {
        return Err(Failure::new(format_args!("{method}: {}", error["message"].as_str().unwrap_or("refused"))));
    }
    Ok(answer["result"].take())
}

/// A number as JSON-RPC writes it.
pub(super) fn quantity(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}
