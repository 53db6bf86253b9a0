//! Key files: a private key under a password, in the Web3 secret storage format, version 3.
//!
//! ```text
//! password ─ scrypt or PBKDF2 ─► 32 bytes ┬ first half:  AES-128-CTR key ─ ciphertext ─► private key
//!                                         └ second half: keccak(half | ciphertext) = mac: the password is right
//! ```
//!
//! The crate stands alone and low: the command line makes and lists accounts, a sealer signs blocks, and
//! neither should bring the other along; and password hashing is nothing that [`starling_primitives`] should
//! make everybody build. A key file may come from a stranger, so its costs are bounded before they are paid.
//! Secrets are wiped when they are dropped. Nothing here opens a file.
//!
//! Source: [Web3 secret storage](https://ethereum.org/developers/docs/data-structures-and-encoding/web3-secret-storage/).

mod derive;
mod file;

use aes::cipher::{KeyIvInit, StreamCipher};
use derive::Derived;
use file::{Cipher, CryptoSection, KeyFile};
use starling_primitives::{Address, keccak256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

pub use derive::{Kdf, PBKDF2_ROUNDS_MAX, SCRYPT_MEMORY_BYTES_MAX};

/// A private key; wiped when dropped.
pub type Secret = Zeroizing<[u8; 32]>;

/// A key file cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeystoreError {
    /// It is not a key file of this version, or one that asks for what nobody would pay.
    #[error("not a usable key file: {0}")]
    Format(String),
    /// The password is not the one that it was made with, or the file was changed since.
    #[error("wrong password")]
    Password,
}

/// The private key in a key file.
pub fn decrypt(json: &[u8], password: &[u8]) -> Result<Secret, KeystoreError> {
    let file = KeyFile::read(json)?;
    let CryptoSection { cipherparams, ciphertext, kdf, mac, .. } = &file.crypto;
    let derived = kdf.derive(password)?;
    if !bool::from(seal(&derived, ciphertext).ct_eq(mac)) {
        return Err(KeystoreError::Password);
    }
    let mut secret = Secret::new(*ciphertext);
    apply_keystream(&derived, &cipherparams.iv, &mut secret);
    Ok(secret)
}

/// A key file for a private key. `kdf` holds a fresh salt, `iv` and `id` are fresh random bytes.
pub fn encrypt(
    secret: &Secret,
    address: Address,
    password: &[u8],
    kdf: Kdf,
    iv: [u8; 16],
    id: [u8; 16],
) -> Result<String, KeystoreError> {
    let derived = kdf.derive(password)?;
    let mut ciphertext = **secret;
    apply_keystream(&derived, &iv, &mut ciphertext);
    let mac = seal(&derived, &ciphertext);
    let crypto = CryptoSection { cipher: Cipher::Aes128Ctr, cipherparams: file::Iv { iv }, ciphertext, kdf, mac };
    Ok(KeyFile::new(address, crypto, id).write())
}

/// The address that a key file says it is for, without its password; none if it does not say.
pub fn address_of(json: &[u8]) -> Result<Option<Address>, KeystoreError> {
    KeyFile::read(json)?.address()
}

fn seal(derived: &Derived, ciphertext: &[u8; 32]) -> [u8; 32] {
    let mut sealed = Zeroizing::new([0; 48]);
    sealed[..16].copy_from_slice(&derived[16..]);
    sealed[16..].copy_from_slice(ciphertext);
    keccak256(*sealed).0
}

/// Encrypts and decrypts: the two are one.
fn apply_keystream(derived: &Derived, iv: &[u8; 16], text: &mut [u8; 32]) {
    let mut key = Zeroizing::new([0; 16]);
    key.copy_from_slice(&derived[..16]);
    ctr::Ctr128BE::<aes::Aes128>::new(&(*key).into(), &(*iv).into()).apply_keystream(text);
}

#[cfg(test)]
mod tests;
