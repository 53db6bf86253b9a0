//! Which Starling this is.

/// `0.1.0`
pub(crate) const SHORT: &str = env!("CARGO_PKG_VERSION");

/// The client version that web3_clientVersion answers: name, identity, version, platform, compiler.
pub(crate) fn client(identity: Option<&str>) -> String {
    let identity = identity.map(|name| format!("/{name}")).unwrap_or_default();
    format!("Starling{identity}/v{SHORT}{}/{}-{}", commit_suffix(), std::env::consts::OS, std::env::consts::ARCH)
}

/// The commit this was built from, where the build knew it.
pub(crate) fn commit() -> Option<&'static str> {
    option_env!("STARLING_COMMIT").filter(|commit| !commit.is_empty())
}

fn commit_suffix() -> String {
    commit().map(|commit| format!("-{}", &commit[..commit.len().min(8)])).unwrap_or_default()
}

/// Version, commit and platform, for people.
pub(crate) fn long() -> String {
    let commit = commit().unwrap_or("unknown");
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    format!(
        "Starling {SHORT}\ncommit: {commit}\nplatform: {}-{}\nbuild: {profile}",
        std::env::consts::OS,
        std::env::consts::ARCH
    )
}

/// The first four bytes of the commit, zero if the build did not know it.
pub(crate) fn commit_bytes() -> [u8; 4] {
    let mut bytes = [0; 4];
    if let Some(prefix) = commit().and_then(|commit| commit.get(..8))
        && hex::decode_to_slice(prefix, &mut bytes).is_err()
    {
        return [0; 4];
    }
    bytes
}
