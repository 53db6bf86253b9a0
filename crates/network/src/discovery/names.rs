//! Boot nodes whose address is a name: looked up beside everything else, so that a start never waits for it.

use crate::resolve::Resolver;
use starling_discovery::{Host, Node, NodeUrl};
use std::time::Duration;
use tokio::task::JoinSet;

/// How long to wait before a name that has no address is looked up again.
const RETRY_EVERY: Duration = Duration::from_secs(60);

/// The lookups under way, one a name, until each has an address.
pub(super) struct Names(JoinSet<Node>);

impl Names {
    /// Looks up the names among the URLs. Inside a runtime only.
    pub(super) fn new(urls: &[NodeUrl], resolver: Option<&Resolver>) -> Self {
        let mut lookups = JoinSet::new();
        for url in urls {
            let NodeUrl::Enode(enode) = url else { continue };
            let Host::Dns(host) = &enode.host else { continue };
            let Some(resolver) = resolver.cloned() else {
                tracing::warn!(host, "boot node left out: this machine has no name servers");
                continue;
            };
            let (enode, host) = (enode.clone(), host.clone());
            lookups.spawn(async move {
                loop {
                    if let Some(ip) = resolver.addresses(&host).await.first() {
                        return Node::at(&enode, *ip);
                    }
                    tracing::warn!(host, retry_s = RETRY_EVERY.as_secs(), "boot node has no address, asking again");
                    tokio::time::sleep(RETRY_EVERY).await;
                }
            });
        }
        Self(lookups)
    }

    /// The next boot node whose address is known; none while nothing is looked up. Safe to cancel.
    pub(super) async fn next(&mut self) -> Option<Node> {
        self.0.join_next().await?.ok()
    }
}
