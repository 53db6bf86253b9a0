//! Members of a JSON value by name, as what they stand for. Errors are for people who look at a broken file.

use crate::conformance::{archive::Member, cases::Failure, json};
use alloy_primitives::{Address, B256, Bytes, U256};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::fmt::Display;

/// A file's cases by name.
pub(super) fn cases_of(member: &Member) -> Result<Map<String, Value>, String> {
    serde_json::from_slice(&member.bytes).map_err(|error| format!("not an object of cases: {error}"))
}

/// A whole file as one type.
pub(super) fn file<T: DeserializeOwned>(member: &Member) -> Result<T, String> {
    serde_json::from_slice(&member.bytes).map_err(|error| format!("not of its format: {error}"))
}

/// A value as a type.
pub(super) fn read<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
    T::deserialize(value).map_err(|error| error.to_string())
}

pub(super) fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str, String> {
    value[name].as_str().ok_or_else(|| format!("no text named {name}"))
}

pub(super) fn word(value: &Value, name: &str) -> Result<U256, String> {
    match &value[name] {
        Value::Number(number) => json::word(&number.to_string()),
        _ => json::word(text(value, name)?),
    }
    .ok_or_else(|| format!("{name} is no number: {}", value[name]))
}

pub(super) fn number(value: &Value, name: &str) -> Result<u64, String> {
    word(value, name)?.try_into().map_err(|_| format!("{name} is over 64 bits: {}", value[name]))
}

pub(super) fn bytes(value: &Value, name: &str) -> Result<Bytes, String> {
    json::bytes(text(value, name)?).ok_or_else(|| format!("{name} is no hex"))
}

pub(super) fn hash(value: &Value, name: &str) -> Result<B256, String> {
    text(value, name)?.parse().map_err(|error| format!("{name}: {error}"))
}

pub(super) fn address(value: &Value, name: &str) -> Result<Address, String> {
    text(value, name)?.parse().map_err(|error| format!("{name}: {error}"))
}

/// A list of hex texts.
pub(super) fn byte_strings(value: &Value, name: &str) -> Result<Vec<Bytes>, String> {
    let list = value[name].as_array().ok_or_else(|| format!("no list named {name}"))?;
    list.iter()
        .map(|item| item.as_str().and_then(json::bytes).ok_or_else(|| format!("{name} holds what is no hex")))
        .collect()
}

/// Compares; what differs is a failure that names both.
pub(super) fn same<T: PartialEq + Display>(what: &str, got: T, expected: T) -> Result<(), Failure> {
    if got == expected {
        return Ok(());
    }
    Err(Failure { at: what.into(), expected: expected.to_string(), got: got.to_string() })
}

/// The same for values that only print for programmers.
pub(super) fn same_debug<T: PartialEq + std::fmt::Debug>(what: &str, got: T, expected: T) -> Result<(), Failure> {
    if got == expected {
        return Ok(());
    }
    Err(Failure { at: what.into(), expected: format!("{expected:?}"), got: format!("{got:?}") })
}
