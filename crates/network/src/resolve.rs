//! Names to addresses and to texts.

use hickory_resolver::{TokioResolver, proto::rr::RData};
use std::{net::IpAddr, sync::Arc, time::Duration};

/// Longest wait for an answer.
const LOOKUP_TIME_MAX: Duration = Duration::from_secs(10);
/// Answers of a name that are looked at.
const ANSWERS_MAX: usize = 16;

/// Asks the machine's name servers. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Resolver {
    inner: Arc<TokioResolver>,
}

impl Resolver {
    /// None where the machine has no name servers. Inside a runtime only.
    pub(crate) fn of_system() -> Option<Self> {
        let inner = TokioResolver::builder_tokio().ok()?.build().ok()?;
        Some(Self { inner: Arc::new(inner) })
    }

    /// Addresses of a host, IPv4 first: more peers have it. Empty if there are none.
    pub(crate) async fn addresses(&self, host: &str) -> Vec<IpAddr> {
        let Ok(Ok(answer)) = tokio::time::timeout(LOOKUP_TIME_MAX, self.inner.lookup_ip(host)).await else {
            return Vec::new();
        };
        let mut ips: Vec<IpAddr> = answer.iter().take(ANSWERS_MAX).collect();
        ips.sort_by_key(|ip| !ip.is_ipv4());
        ips
    }

    /// The texts (TXT) of a name, the strings of each put together.
    pub(crate) async fn texts(&self, name: &str) -> Result<Vec<String>, ()> {
        // With a dot at the end, so that no domain of this machine is tried as well.
        let lookup = self.inner.txt_lookup(format!("{}.", name.trim_end_matches('.')));
        let answer = tokio::time::timeout(LOOKUP_TIME_MAX, lookup).await.map_err(drop)?.map_err(drop)?;
        let text = |data: &RData| match data {
            RData::TXT(txt) => Some(txt.txt_data.iter().map(|part| String::from_utf8_lossy(part)).collect::<String>()),
            _ => None,
        };
        Ok(answer.answers().iter().take(ANSWERS_MAX).filter_map(|record| text(&record.data)).collect())
    }
}
