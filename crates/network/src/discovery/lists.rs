//! Asks name servers for what the DNS lists want to know.

use crate::resolve::Resolver;
use rand::{SeedableRng, rngs::StdRng};
use starling_discovery::{
    Record,
    dns::{Action, TreeClient, TreeUrl},
};
use std::time::Instant;
use tokio::task::JoinSet;

/// The lists and the questions under way, of which the client never has more than a handful.
pub(super) struct Lists {
    client: Option<(TreeClient, Resolver)>,
    asked: JoinSet<(String, Option<Vec<String>>)>,
}

impl Lists {
    /// Without lists, or on a machine without name servers, there is nothing to do.
    pub(super) fn new(urls: Vec<TreeUrl>, resolver: Option<Resolver>, mut rng: StdRng, now: Instant) -> Self {
        let resolver = resolver.filter(|_| !urls.is_empty());
        let client = resolver.map(|resolver| (TreeClient::new(urls, now, StdRng::from_rng(&mut rng)), resolver));
        Self { client, asked: JoinSet::new() }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.client.as_ref().and_then(|(client, _)| client.next_deadline())
    }

    pub(super) fn advance(&mut self, now: Instant) {
        if let Some((client, _)) = &mut self.client {
            client.advance(now);
        }
    }

    pub(super) fn set_wanted(&mut self, wanted: bool) {
        if let Some((client, _)) = &mut self.client {
            client.set_wanted(wanted);
        }
    }

    /// The next answer of a name server; none while nothing is asked. Safe to cancel.
    pub(super) async fn answer(&mut self) -> Option<(String, Option<Vec<String>>)> {
        self.asked.join_next().await?.ok()
    }

    pub(super) fn handle(&mut self, name: &str, texts: Option<Vec<String>>, now: Instant) {
        if let Some((client, _)) = &mut self.client {
            client.handle(name, texts.as_deref(), now);
        }
    }

    /// The next node of a list; asks what is to be asked meanwhile.
    pub(super) fn found(&mut self) -> Option<Record> {
        let (client, resolver) = self.client.as_mut()?;
        while let Some(action) = client.poll() {
            match action {
                Action::Found(record) => return Some(record),
                Action::Resolve(name) => {
                    let resolver = resolver.clone();
                    self.asked.spawn(async move {
                        let texts = resolver.texts(&name).await.ok();
                        (name, texts)
                    });
                }
                Action::Invalid { name, reason } => tracing::debug!(name, %reason, "a DNS list is not to be believed"),
            }
        }
        None
    }
}
