//! Hex as JSON-RPC writes it, read as strictly as geth reads it.
//!
//! A *quantity* is `0x` and the number without leading zeros; *data* is `0x` and two digits a byte.

use alloy_primitives::{Address, B256, Bytes, U256};
use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};
use std::fmt;

/// A number of at most 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quantity(pub(crate) u64);

/// A number of at most 128 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BigQuantity(pub(crate) u128);

/// A number of at most 256 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word(pub(crate) U256);

/// Bytes of any length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Data(pub(crate) Bytes);

/// Exactly 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hash(pub(crate) B256);

/// Exactly 20 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Addr(pub(crate) Address);

/// Reads a quantity.
pub(crate) fn parse_quantity(text: &str) -> Result<U256, String> {
    let digits = strip_prefix(text)?;
    match digits.as_bytes() {
        [] => return Err(format!("hex string {text:?}")),
        [b'0', _, ..] => return Err("hex number with leading zero digits".into()),
        digits if !digits.iter().all(u8::is_ascii_hexdigit) => return Err("invalid hex string".into()),
        _ => {}
    }
    U256::from_str_radix(digits, 16).map_err(|_| "hex number > 256 bits".into())
}

/// Reads a quantity of at most 64 bits.
pub(crate) fn parse_u64(text: &str) -> Result<u64, String> {
    u64::try_from(parse_quantity(text)?).map_err(|_| "hex number > 64 bits".into())
}

/// Reads data of exactly `N` bytes; `what` names it in errors.
pub(crate) fn parse_fixed<const N: usize>(text: &str, what: &str) -> Result<[u8; N], String> {
    let digits = strip_prefix(text)?;
    if digits.len() != 2 * N {
        return Err(format!("hex string has length {}, want {} for {what}", digits.len(), 2 * N));
    }
    let mut bytes = [0; N];
    alloy_primitives::hex::decode_to_slice(digits, &mut bytes).map_err(|_| "invalid hex string".to_owned())?;
    Ok(bytes)
}

/// Reads data.
fn parse_data(text: &str) -> Result<Bytes, String> {
    let digits = strip_prefix(text)?;
    if digits.len() % 2 == 1 {
        return Err("hex string of odd length".into());
    }
    Ok(alloy_primitives::hex::decode(digits).map_err(|_| "invalid hex string".to_owned())?.into())
}

fn strip_prefix(text: &str) -> Result<&str, String> {
    if text.is_empty() {
        return Err("empty hex string".into());
    }
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    digits.ok_or_else(|| "hex string without 0x prefix".into())
}

/// Reads a string and parses it.
pub(crate) fn from_text<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, D::Error> {
    deserializer.deserialize_str(Text(parse))
}

/// Parses a string where it lies: payloads are megabytes of hex, and a copy of each text first would be felt.
struct Text<F>(F);

impl<T, F: FnOnce(&str) -> Result<T, String>> Visitor<'_> for Text<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).map_err(E::custom)
    }
}

/// Implements `Deserialize` by a parser of the text.
macro_rules! deserialize_text {
    ($($name:ident: $parse:expr;)*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                from_text(deserializer, $parse)
            }
        }
    )*};
}

deserialize_text! {
    Quantity: |text| parse_u64(text).map(Quantity);
    BigQuantity: |text| u128::try_from(parse_quantity(text)?).map(BigQuantity).map_err(|_| "hex number > 128 bits".into());
    Word: |text| parse_quantity(text).map(Word);
    Data: |text| parse_data(text).map(Data);
    Hash: |text| parse_fixed::<32>(text, "a hash").map(|bytes| Hash(bytes.into()));
    Addr: |text| parse_fixed::<20>(text, "an address").map(|bytes| Addr(bytes.into()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: for<'a> Deserialize<'a> + PartialEq + std::fmt::Debug>(json: &str, expect: Result<T, &str>) {
        match (serde_json::from_str::<T>(json), expect) {
            (Ok(got), Ok(want)) => assert_eq!(got, want, "{json}"),
            (Err(got), Err(want)) => assert!(got.to_string().starts_with(want), "{json}: {got}"),
            (got, want) => panic!("{json}: {got:?}, expected {want:?}"),
        }
    }

    #[test]
    fn quantities() {
        check(r#""0x0""#, Ok(Quantity(0)));
        check(r#""0xffffffffffffffff""#, Ok(Quantity(u64::MAX)));
        check::<Quantity>(r#""0x10000000000000000""#, Err("hex number > 64 bits"));
        check::<Quantity>(r#""0x01""#, Err("hex number with leading zero digits"));
        check::<Quantity>(r#""0x""#, Err("hex string"));
        check::<Quantity>(r#""""#, Err("empty hex string"));
        check::<Quantity>(r#""12""#, Err("hex string without 0x prefix"));
        check::<Quantity>(r#""0xzz""#, Err("invalid hex string"));
        check::<Quantity>("12", Err("invalid type"));
        check::<Word>(&format!("\"0x1{}\"", "0".repeat(64)), Err("hex number > 256 bits"));
    }

    #[test]
    fn data_and_fixed() {
        check(r#""0x""#, Ok(Data(Bytes::new())));
        check(r#""0x00ff""#, Ok(Data(Bytes::from_static(&[0, 255]))));
        check::<Data>(r#""0x0""#, Err("hex string of odd length"));
        check(&format!("\"0x{}\"", "11".repeat(20)), Ok(Addr(Address::repeat_byte(0x11))));
        check::<Addr>(&format!("\"{}\"", "11".repeat(20)), Err("hex string without 0x prefix"));
        check::<Hash>(r#""0x12""#, Err("hex string has length 2, want 64"));
    }
}
