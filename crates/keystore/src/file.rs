//! The file's JSON. Members that nobody here reads are let through, as other programs add their own.

use crate::{Kdf, KeystoreError};
use serde::{Deserialize, Serialize};
use starling_primitives::Address;

const VERSION: u64 = 3;

#[derive(Serialize, Deserialize)]
pub(crate) struct KeyFile {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(alias = "Crypto")]
    pub(crate) crypto: CryptoSection,
    #[serde(default)]
    id: String,
    version: u64,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct CryptoSection {
    pub(crate) cipher: Cipher,
    #[serde(with = "hex::serde")]
    pub(crate) ciphertext: [u8; 32],
    pub(crate) cipherparams: Iv,
    #[serde(flatten)]
    pub(crate) kdf: Kdf,
    #[serde(with = "hex::serde")]
    pub(crate) mac: [u8; 32],
}

#[derive(Serialize, Deserialize)]
pub(crate) enum Cipher {
    #[serde(rename = "aes-128-ctr")]
    Aes128Ctr,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Iv {
    #[serde(with = "hex::serde")]
    pub(crate) iv: [u8; 16],
}

impl KeyFile {
    pub(crate) fn new(address: Address, crypto: CryptoSection, id: [u8; 16]) -> Self {
        Self { address: Some(hex::encode(address)), crypto, id: uuid(id), version: VERSION }
    }

    pub(crate) fn read(json: &[u8]) -> Result<Self, KeystoreError> {
        let file: Self = serde_json::from_slice(json).map_err(|error| KeystoreError::Format(error.to_string()))?;
        match file.version {
            VERSION => Ok(file),
            other => Err(KeystoreError::Format(format!("version {other}, not {VERSION}"))),
        }
    }

    pub(crate) fn write(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers under text keys")
    }

    pub(crate) fn address(&self) -> Result<Option<Address>, KeystoreError> {
        let parse = |text: &String| text.parse().map_err(|_| KeystoreError::Format("its address is none".into()));
        self.address.as_ref().map(parse).transpose()
    }
}

/// Random bytes in the shape of a UUID of version 4, which the format wants.
fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex::encode(bytes);
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}
