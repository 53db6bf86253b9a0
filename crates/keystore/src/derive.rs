use crate::KeystoreError;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Most memory that scrypt may take, in bytes: four times what geth's standard files take.
pub const SCRYPT_MEMORY_BYTES_MAX: u64 = 1 << 30;
/// Most parallel lanes of scrypt, which run one after another here.
const SCRYPT_LANES_MAX: u32 = 16;
/// Most rounds of PBKDF2; some seconds.
pub const PBKDF2_ROUNDS_MAX: u32 = 10_000_000;
/// Longest salt.
const SALT_BYTES_MAX: usize = 1_024;
/// Bytes to derive: a cipher key and a seal key.
const DERIVED_BYTES: u32 = 32;

/// The keys that a password leads to.
pub(crate) type Derived = Zeroizing<[u8; DERIVED_BYTES as usize]>;

/// How a password becomes keys, with its costs and its salt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kdf", content = "kdfparams", rename_all = "lowercase")]
pub enum Kdf {
    /// RFC 7914.
    Scrypt {
        /// Cost, a power of two.
        n: u64,
        /// Block size.
        r: u32,
        /// Lanes.
        p: u32,
        /// Bytes to derive: 32.
        dklen: u32,
        /// Random bytes of this file.
        #[serde(with = "hex::serde")]
        salt: Vec<u8>,
    },
    /// RFC 8018 with HMAC-SHA-256.
    Pbkdf2 {
        /// Rounds.
        c: u32,
        /// Bytes to derive: 32.
        dklen: u32,
        /// `hmac-sha256`.
        prf: String,
        /// Random bytes of this file.
        #[serde(with = "hex::serde")]
        salt: Vec<u8>,
    },
}

impl Kdf {
    /// geth's standard costs: 256 MiB and about a second.
    pub fn standard(salt: [u8; 32]) -> Self {
        Self::Scrypt { n: 1 << 18, r: 8, p: 1, dklen: DERIVED_BYTES, salt: salt.to_vec() }
    }

    /// geth's light costs: 4 MiB and some hundredths of a second.
    pub fn light(salt: [u8; 32]) -> Self {
        Self::Scrypt { n: 1 << 12, r: 8, p: 6, dklen: DERIVED_BYTES, salt: salt.to_vec() }
    }

    pub(crate) fn derive(&self, password: &[u8]) -> Result<Derived, KeystoreError> {
        let mut derived = Derived::default();
        match self {
            Self::Scrypt { n, r, p, dklen: DERIVED_BYTES, salt } => {
                check(salt.len() <= SALT_BYTES_MAX, "its salt is too long")?;
                check(n.is_power_of_two() && *n > 1, "scrypt's n is not a power of two")?;
                let memory = n.saturating_mul(128).saturating_mul(u64::from(*r));
                check(memory <= SCRYPT_MEMORY_BYTES_MAX && *p <= SCRYPT_LANES_MAX, "scrypt's costs are too high")?;
                let params = scrypt::Params::new(n.ilog2() as u8, *r, *p).map_err(refused)?;
                scrypt::scrypt(password, salt, &params, &mut derived[..]).map_err(refused)?;
            }
            Self::Pbkdf2 { c, dklen: DERIVED_BYTES, prf, salt } => {
                check(salt.len() <= SALT_BYTES_MAX, "its salt is too long")?;
                check(prf == "hmac-sha256", "PBKDF2 with another hash than HMAC-SHA-256")?;
                check((1..=PBKDF2_ROUNDS_MAX).contains(c), "PBKDF2's rounds are none or too many")?;
                pbkdf2::pbkdf2_hmac::<sha2::Sha256>(password, salt, *c, &mut derived[..]);
            }
            _ => return Err(KeystoreError::Format("its key derivation does not give 32 bytes".into())),
        }
        Ok(derived)
    }
}

fn check(holds: bool, why: &str) -> Result<(), KeystoreError> {
    if holds { Ok(()) } else { Err(KeystoreError::Format(why.into())) }
}

fn refused(error: impl std::fmt::Display) -> KeystoreError {
    KeystoreError::Format(format!("scrypt: {error}"))
}
