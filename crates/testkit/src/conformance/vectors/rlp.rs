//! RLP both ways: values and their bytes, and bytes that must not decode.

use super::fields::{self, bytes, same, same_debug};
use crate::conformance::{
    archive::Member,
    cases::{Cases, Failure},
};
use alloy_primitives::{Bytes, U512};
use alloy_rlp::{Encodable, Header, PayloadView};
use serde_json::Value;

/// Lists inside lists, at most.
const DEPTH_MAX: usize = 64;

#[derive(Debug, PartialEq, Eq)]
enum Item {
    String(Vec<u8>),
    List(Vec<Item>),
}

pub(super) fn run(member: &Member, cases: &mut Cases<'_>) -> Result<(), String> {
    for (name, case) in fields::cases_of(member)? {
        cases.case(&name, "", || check(&case));
    }
    Ok(())
}

fn check(case: &Value) -> Result<(), Failure> {
    let rlp = bytes(case, "out")?;
    let decoded = decode(&rlp);
    match case["in"].as_str() {
        Some("INVALID") => match decoded {
            Ok(item) => Err(Failure { expected: "an error".into(), got: format!("{item:?}"), ..Failure::default() }),
            Err(_) => Ok(()),
        },
        Some("VALID") => Ok(decoded.map(drop)?),
        _ => {
            let item = read(&case["in"])?;
            same("encoded", encode(&item), rlp)?;
            same_debug("decoded", decoded?, item)
        }
    }
}

fn read(value: &Value) -> Result<Item, String> {
    Ok(match value {
        Value::String(text) => match text.strip_prefix('#') {
            Some(digits) => Item::String(big_endian(digits)?),
            None => Item::String(text.clone().into_bytes()),
        },
        Value::Number(number) => Item::String(big_endian(&number.to_string())?),
        Value::Array(items) => Item::List(items.iter().map(read).collect::<Result<_, _>>()?),
        other => return Err(format!("what is {other}?")),
    })
}

/// A number as RLP writes it: no zeros in front.
fn big_endian(digits: &str) -> Result<Vec<u8>, String> {
    let number = U512::from_str_radix(digits, 10).map_err(|error| format!("{digits}: {error}"))?;
    Ok(number.to_be_bytes_trimmed_vec())
}

fn encode(item: &Item) -> Bytes {
    let mut out = Vec::new();
    put(item, &mut out);
    out.into()
}

fn put(item: &Item, out: &mut Vec<u8>) {
    match item {
        Item::String(bytes) => bytes.as_slice().encode(out),
        Item::List(items) => {
            let mut payload = Vec::new();
            items.iter().for_each(|item| put(item, &mut payload));
            Header { list: true, payload_length: payload.len() }.encode(out);
            out.extend_from_slice(&payload);
        }
    }
}

fn decode(rlp: &[u8]) -> Result<Item, String> {
    let mut rest = rlp;
    let item = take(&mut rest, 0)?;
    if rest.is_empty() { Ok(item) } else { Err("bytes after its end".into()) }
}

fn take(rlp: &mut &[u8], depth: usize) -> Result<Item, String> {
    if depth > DEPTH_MAX {
        return Err("nested too deep".into());
    }
    match Header::decode_raw(rlp).map_err(|error| error.to_string())? {
        PayloadView::String(bytes) => Ok(Item::String(bytes.to_vec())),
        PayloadView::List(items) => {
            items.into_iter().map(|mut item| take(&mut item, depth + 1)).collect::<Result<_, _>>().map(Item::List)
        }
    }
}
