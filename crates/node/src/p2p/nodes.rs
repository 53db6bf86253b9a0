//! The file of known nodes, so that a restart need not begin at the boot nodes.

use crate::datadir::write_whole;
use starling_discovery::{DATABASE_BYTES_MAX, NodeDb};
use starling_network::NetworkHandle;
use std::{fs::File, io::Read, path::Path, time::Duration};

/// How often the file is written, if anything has changed.
const SAVE_EVERY: Duration = Duration::from_secs(5 * 60);

/// What the file holds. One that cannot be read only costs a slower start: it is said and begun anew.
pub(crate) fn load(path: &Path) -> NodeDb {
    let Ok(file) = File::open(path) else { return NodeDb::new() };
    let mut text = String::new();
    let read = file.take(DATABASE_BYTES_MAX as u64 + 1).read_to_string(&mut text).map_err(|error| error.to_string());
    let parsed = read.and_then(|_| NodeDb::from_json(&text).map_err(|error| error.to_string()));
    parsed.unwrap_or_else(|error| {
        tracing::warn!(path = %path.display(), error, "the file of known nodes is begun anew");
        NodeDb::new()
    })
}

/// Writes the file again and again, until the network has stopped.
pub(super) async fn keep(network: NetworkHandle, path: std::path::PathBuf) {
    loop {
        tokio::time::sleep(SAVE_EVERY).await;
        save(&network, &path).await;
    }
}

/// Writes the file, if anything has changed.
pub(super) async fn save(network: &NetworkHandle, path: &Path) {
    if let Some(text) = network.node_database().await {
        write(path, &text);
    }
}

/// Writes the file; a failure only costs a slower start later.
pub(crate) fn write(path: &Path, text: &str) {
    if let Err(error) = write_whole(path, text.as_bytes()) {
        tracing::warn!(path = %path.display(), %error, "the known nodes are not kept");
    }
}
