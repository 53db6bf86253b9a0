//! The tokens of the engine port: JWT, HS256, `iat` within a minute of now.
//!
//! By hand over `hmac` and `sha2`: a token here is two base64 parts and a mac, far less than a JWT library.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;
use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{ErrorKind, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

/// How far a token's `iat` may lie from now, either way.
const IAT_TOLERANCE_SECONDS: f64 = 60.0;
/// Most bytes a secret's file may hold: 64 digits, a prefix and some white space.
const FILE_BYTES_MAX: u64 = 1_024;
/// Bits of a file's mode that let others in.
const OTHERS_MODE: u32 = 0o077;

/// The secret that consensus client and node share. `Debug` does not show it.
#[derive(Clone)]
pub struct JwtSecret([u8; 32]);

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum JwtError {
    /// The file cannot be read or made.
    #[error("cannot read the JWT secret {path}: {error}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's word.
        error: std::io::Error,
    },
    /// Others may read it.
    #[error("the JWT secret {path} has mode {mode:04o}, others can read it; run `chmod 600 {path}`", path = path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is not a secret.
    #[error("the JWT secret {path} must be 64 hex digits, with or without 0x", path = .0.display())]
    Format(PathBuf),
}

/// Why a token is not accepted; sent with status 401.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No `Authorization: Bearer …` header.
    #[error("missing token")]
    Missing,
    /// Not a JWT.
    #[error("malformed token")]
    Malformed,
    /// Another algorithm than HS256.
    #[error("signing method is not HS256")]
    Algorithm,
    /// Made with another secret.
    #[error("signature is invalid: the two sides hold different secrets")]
    Signature,
    /// No `iat` claim.
    #[error("missing issued-at")]
    MissingIat,
    /// `iat` is more than a minute ago.
    #[error("stale token: issued over 60 seconds ago; compare the clocks")]
    Stale,
    /// `iat` is more than a minute ahead.
    #[error("future token: issued over 60 seconds ahead; compare the clocks")]
    Future,
    /// `exp` has passed.
    #[error("token is expired")]
    Expired,
}

#[derive(Deserialize)]
struct Head<'a> {
    alg: &'a str,
}

#[derive(Deserialize)]
struct Claims {
    iat: Option<f64>,
    exp: Option<f64>,
}

impl fmt::Debug for JwtSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JwtSecret(…)")
    }
}

impl JwtSecret {
    /// A secret from its bytes.
    pub const fn new(secret: [u8; 32]) -> Self {
        Self(secret)
    }

    /// The secret in a file; a missing file is made with a fresh secret that only its owner can read.
    pub fn load_or_create(path: &Path) -> Result<Self, JwtError> {
        match Self::load(path) {
            Err(JwtError::Io { error, .. }) if error.kind() == ErrorKind::NotFound => Self::create(path),
            loaded => loaded,
        }
    }

    /// The secret in a file: 64 hex digits that only their owner can read.
    pub fn load(path: &Path) -> Result<Self, JwtError> {
        let failed = |error| JwtError::Io { path: path.to_owned(), error };
        let file = File::open(path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o7777;
        if mode & OTHERS_MODE != 0 {
            return Err(JwtError::Mode { path: path.to_owned(), mode });
        }
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
        let text = bytes.trim_ascii();
        let mut secret = [0; 32];
        hex::decode_to_slice(text.strip_prefix(b"0x").unwrap_or(text), &mut secret)
            .map_err(|_| JwtError::Format(path.to_owned()))?;
        Ok(Self(secret))
    }

    fn create(path: &Path) -> Result<Self, JwtError> {
        let secret = Self(alloy_primitives::B256::random().0);
        let failed = |error| JwtError::Io { path: path.to_owned(), error };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        file.write_all(format!("0x{}\n", hex::encode(secret.0)).as_bytes()).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        Ok(secret)
    }

    /// A token issued at a time, unix seconds.
    pub fn token(&self, iat: u64) -> String {
        let head = BASE64.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
        let claims = BASE64.encode(format!(r#"{{"iat":{iat}}}"#));
        let signed = format!("{head}.{claims}");
        let signature = BASE64.encode(self.mac(&signed).finalize().into_bytes());
        format!("{signed}.{signature}")
    }

    /// Checks an `Authorization` header against the clock.
    pub fn check_header(&self, header: Option<&str>) -> Result<(), TokenError> {
        let token = header.and_then(|header| header.strip_prefix("Bearer ")).ok_or(TokenError::Missing)?;
        // A clock before 1970 makes every token one of the future, which is the truth.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |now| now.as_secs_f64());
        self.check(token.trim(), now)
    }

    /// Checks a token at a time, unix seconds: the signature first, since nothing else in it can be believed.
    pub fn check(&self, token: &str, now: f64) -> Result<(), TokenError> {
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (head, claims) = signed.split_once('.').ok_or(TokenError::Malformed)?;
        let decode = |part: &str| BASE64.decode(part).map_err(|_| TokenError::Malformed);
        let head = decode(head)?;
        let head: Head<'_> = serde_json::from_slice(&head).map_err(|_| TokenError::Malformed)?;
        if head.alg != "HS256" {
            return Err(TokenError::Algorithm);
        }
        // `verify_slice` compares in constant time.
        self.mac(signed).verify_slice(&decode(signature)?).map_err(|_| TokenError::Signature)?;
        let claims: Claims = serde_json::from_slice(&decode(claims)?).map_err(|_| TokenError::Malformed)?;
        let iat = claims.iat.ok_or(TokenError::MissingIat)?;
        if now - iat > IAT_TOLERANCE_SECONDS {
            return Err(TokenError::Stale);
        }
        if iat - now > IAT_TOLERANCE_SECONDS {
            return Err(TokenError::Future);
        }
        if claims.exp.is_some_and(|exp| exp < now) {
            return Err(TokenError::Expired);
        }
        Ok(())
    }

    fn mac(&self, signed: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(signed.as_bytes());
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn secret() -> JwtSecret {
        JwtSecret::new(*b"secretsecretsecretsecretsecretse")
    }

    fn signed(head: &str, claims: &str) -> String {
        let text = format!("{}.{}", BASE64.encode(head), BASE64.encode(claims));
        let signature = BASE64.encode(secret().mac(&text).finalize().into_bytes());
        format!("{text}.{signature}")
    }

    fn check(token: &str, expect: Result<(), TokenError>) {
        assert_eq!(secret().check(token, NOW as f64), expect, "{token}");
    }

    #[test]
    fn tokens() {
        const HEAD: &str = r#"{"alg":"HS256","typ":"JWT"}"#;
        check(&secret().token(NOW), Ok(()));
        check(&secret().token(NOW - 60), Ok(()));
        check(&secret().token(NOW + 60), Ok(()));
        check(&secret().token(NOW - 61), Err(TokenError::Stale));
        check(&secret().token(NOW + 61), Err(TokenError::Future));
        check(&JwtSecret::new([7; 32]).token(NOW), Err(TokenError::Signature));
        check(&signed(r#"{"alg":"none"}"#, r#"{"iat":1700000000}"#), Err(TokenError::Algorithm));
        check(&signed(HEAD, "{}"), Err(TokenError::MissingIat));
        check(&signed(HEAD, r#"{"iat":1700000000.5,"id":"a","clv":"b"}"#), Ok(()));
        check(&signed(HEAD, r#"{"iat":1700000000,"exp":1699999999}"#), Err(TokenError::Expired));
        check("", Err(TokenError::Malformed));
        check("a.b", Err(TokenError::Malformed));
        check("!.!.!", Err(TokenError::Malformed));
        // The mac cut short must not pass, nor one with something after it.
        let token = secret().token(NOW);
        check(&token[..token.len() - 3], Err(TokenError::Signature));
        check(&token[..token.rfind('.').unwrap() + 1], Err(TokenError::Signature));
        assert_eq!(secret().check_header(None), Err(TokenError::Missing));
        assert_eq!(secret().check_header(Some("Basic abc")), Err(TokenError::Missing));
    }

    #[test]
    fn matches_a_known_mac() {
        // Made with Python's hmac module.
        let token = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpYXQiOjF9.\
                     5CsHY2r_YfyKH21xIeglLqw5DUc6bbowv_OPWlcfoyk";
        assert_eq!(secret().token(1), token);
    }

    #[test]
    fn files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jwt.hex");
        let made = JwtSecret::load_or_create(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(JwtSecret::load_or_create(&path).unwrap().0, made.0);
        assert!(!format!("{made:?}").contains(&hex::encode(made.0)[..8]));

        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        assert!(matches!(JwtSecret::load_or_create(&path), Err(JwtError::Mode { mode: 0o644, .. })));
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        std::fs::write(&path, "0x1234").unwrap();
        assert!(matches!(JwtSecret::load(&path), Err(JwtError::Format(_))));
        std::fs::write(&path, hex::encode([1; 32])).unwrap();
        assert_eq!(JwtSecret::load(&path).unwrap().0, [1; 32]);
    }
}
