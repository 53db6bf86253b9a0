//! Strict reading of one JSON object: every field is taken by name, what is left over is an error.
//! Names are compared without regard to case, as geth does (`mixhash` and `mixHash` both occur).

use super::GenesisError;
use alloy_primitives::{Address, B256, Bytes, U256, hex};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};

/// Longest part of a wrong value that an error repeats.
const SHOWN_VALUE_CHARS: usize = 80;

/// The fields of an object in file order, values not yet read.
pub(super) struct Fields<'a> {
    path: String,
    entries: Vec<(Cow<'a, str>, &'a RawValue)>,
}

/// A field that was found: its path for errors, and its JSON text.
pub(super) struct Field<'a> {
    pub(super) path: String,
    pub(super) raw: &'a RawValue,
}

impl<'a> Fields<'a> {
    /// Reads the object that `text` is. `path` is what errors call it; empty for the file itself.
    pub(super) fn read(path: &str, text: &'a str) -> Result<Self, GenesisError> {
        let Entries(entries) = serde_json::from_str(text).map_err(|error| GenesisError::Json {
            path: if path.is_empty() { "genesis".into() } else { path.into() },
            why: error.to_string(),
        })?;
        Ok(Self { path: path.into(), entries })
    }

    /// A field that may be left out; `null` is as if it were.
    pub(super) fn take(&mut self, name: &str) -> Result<Option<Field<'a>>, GenesisError> {
        let mut found = self.entries.extract_if(.., |(key, _)| key.eq_ignore_ascii_case(name));
        let (first, second) = (found.next(), found.next());
        drop(found);
        if second.is_some() {
            return Err(GenesisError::Twice { path: self.path_to(name) });
        }
        Ok(first.filter(|(_, raw)| raw.get() != "null").map(|(key, raw)| Field { path: self.path_to(&key), raw }))
    }

    /// A field that must be there.
    pub(super) fn need(&mut self, name: &str) -> Result<Field<'a>, GenesisError> {
        self.take(name)?.ok_or_else(|| GenesisError::Missing { path: self.path_to(name) })
    }

    /// Takes the first field that is left, with its name.
    pub(super) fn pop(&mut self) -> Option<(Cow<'a, str>, Field<'a>)> {
        let (key, raw) = self.entries.pop()?;
        let path = self.path_to(&key);
        Some((key, Field { path, raw }))
    }

    /// Nothing may be left.
    pub(super) fn finish(self) -> Result<(), GenesisError> {
        match self.entries.first() {
            Some((key, _)) => Err(GenesisError::Unknown { path: self.path_to(key) }),
            None => Ok(()),
        }
    }

    fn path_to(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

impl<'a> Field<'a> {
    /// An object.
    pub(super) fn object(&self) -> Result<Fields<'a>, GenesisError> {
        Fields::read(&self.path, self.raw.get())
    }

    /// A number below 2⁶⁴: decimal or `0x…`, quoted or not.
    pub(super) fn u64(&self) -> Result<u64, GenesisError> {
        u64::try_from(self.u256()?).map_err(|_| self.wrong("does not fit 64 bits"))
    }

    /// A number below 2²⁵⁶: decimal or `0x…`, quoted or not. An empty string is zero, as in geth.
    pub(super) fn u256(&self) -> Result<U256, GenesisError> {
        let text = self.text()?;
        if text.is_empty() {
            return Ok(U256::ZERO);
        }
        let (digits, radix) = match strip_0x(&text) {
            Some(digits) => (digits, 16),
            None => (text.as_ref(), 10),
        };
        if digits.is_empty() || !digits.bytes().all(|digit| char::from(digit).is_digit(radix)) {
            return Err(self.wrong("is not a decimal or 0x-prefixed number"));
        }
        U256::from_str_radix(digits, radix.into()).map_err(|_| self.wrong("does not fit 256 bits"))
    }

    /// `true` or `false`.
    pub(super) fn bool(&self) -> Result<bool, GenesisError> {
        match self.raw.get() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(self.wrong("is neither true nor false")),
        }
    }

    /// `0x` and an even number of hex digits; an empty string is no bytes, as in geth.
    pub(super) fn bytes(&self) -> Result<Bytes, GenesisError> {
        let text = self.text()?;
        if text.is_empty() {
            return Ok(Bytes::new());
        }
        let digits = strip_0x(&text).ok_or_else(|| self.wrong("does not begin with 0x"))?;
        hex::decode(digits).map(Bytes::from).map_err(|_| self.wrong("is not hex with an even number of digits"))
    }

    /// 32 bytes in hex.
    pub(super) fn b256(&self) -> Result<B256, GenesisError> {
        let bytes = self.bytes()?;
        B256::try_from(bytes.as_ref()).map_err(|_| self.wrong("is not 32 bytes"))
    }

    /// An address, with or without `0x`.
    pub(super) fn address(&self) -> Result<Address, GenesisError> {
        address(&self.text()?).ok_or_else(|| self.wrong("is not an address of 20 bytes"))
    }

    /// A storage value: up to 32 bytes in hex, with or without `0x`, filled up with zeros on the left.
    pub(super) fn storage_word(&self) -> Result<U256, GenesisError> {
        storage_word(&self.text()?).ok_or_else(|| self.wrong("is not hex of at most 32 bytes"))
    }

    /// An error about this field's value.
    pub(super) fn wrong(&self, why: &'static str) -> GenesisError {
        let value = self.raw.get().chars().take(SHOWN_VALUE_CHARS).collect();
        GenesisError::Value { path: self.path.clone(), value, why }
    }

    /// A string's content, or a bare number's digits.
    fn text(&self) -> Result<Cow<'a, str>, GenesisError> {
        let raw = self.raw.get();
        if raw.starts_with('"') {
            let Text(text) = serde_json::from_str(raw).map_err(|_| self.wrong("is not a string"))?;
            return Ok(text);
        }
        if raw.starts_with(|first: char| first.is_ascii_digit()) {
            return Ok(raw.into());
        }
        Err(self.wrong("is neither a string nor a number that a chain can have"))
    }
}

/// An address in hex, with or without `0x`.
pub(super) fn address(text: &str) -> Option<Address> {
    let bytes = hex::decode(strip_0x(text).unwrap_or(text)).ok()?;
    Address::try_from(bytes.as_slice()).ok()
}

/// Up to 32 bytes of hex as a number, with or without `0x`.
pub(super) fn storage_word(text: &str) -> Option<U256> {
    let digits = strip_0x(text).unwrap_or(text);
    if digits.len() > 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    if digits.is_empty() { Some(U256::ZERO) } else { U256::from_str_radix(digits, 16).ok() }
}

fn strip_0x(text: &str) -> Option<&str> {
    text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))
}

struct Entries<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some((Text(key), value)) = map.next_entry()? {
                    entries.push((key, value));
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}
