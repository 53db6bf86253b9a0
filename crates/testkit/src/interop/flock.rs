//! Four nodes, three of them told nothing but one bootnode's record: each finds the three others, and all agree.

use std::time::Duration;

use serde_json::json;

use super::sync::{FAKE_SEALS, proof_of_work_part};
use super::wait_for;
use crate::Outcome;
use crate::fixtures::find;
use crate::node::{Home, Node};

/// The nodes that know only the bootnode.
const FOLLOWERS: usize = 3;

/// How long they may take to find one another and to agree.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Loopback, any port, no mapping; discovery is on.
const FLAGS: &[&str] = &["--addr", "127.0.0.1", "--port", "0", "--nat", "none", FAKE_SEALS];

/// Starts them, and waits until each has three peers and the head of the one that had a chain.
pub fn run() -> Outcome {
    let (Some(genesis), Some(chain)) = (find("rpc-compat/genesis.json"), find("rpc-compat/chain.rlp")) else {
        return Ok(());
    };
    let first = Home::with_genesis(&genesis)?;
    let part = proof_of_work_part(&genesis, &chain, &first)?;
    first.run("import", &[part])?;
    let bootnode = Node::start_among_peers(&first, FLAGS)?;
    let head = bootnode.head()?;
    let record = bootnode.enr()?.to_string();

    let homes = (0..FOLLOWERS).map(|_| Home::with_genesis(&genesis)).collect::<Outcome<Vec<_>>>()?;
    let mut nodes = vec![bootnode];
    for home in &homes {
        nodes.push(Node::start_among_peers(home, &[FLAGS, &["--bootnodes", &record]].concat())?);
    }
    let took = wait_for("three peers and one head at each", TIMEOUT, || {
        for node in &nodes {
            if peers(node)? < FOLLOWERS || node.head()? != head {
                return Ok(false);
            }
        }
        Ok(true)
    });
    match took {
        Ok(took) => println!("four nodes with three peers each on block {}: {:.1} s", head.0, took.as_secs_f64()),
        Err(error) => {
            let mut lines = vec![error];
            for (index, node) in nodes.iter().enumerate() {
                lines.push(format!(
                    "node {index}: {:?} peers, head {:?}\n{}",
                    peers(node),
                    node.head(),
                    node.log_tail()
                ));
            }
            return Err(lines.join("\n"));
        }
    }
    Ok(())
}

fn peers(node: &Node) -> Outcome<usize> {
    let count = node.http.result("net_peerCount", json!([]))?;
    let hex = count.as_str().unwrap_or_default().trim_start_matches("0x");
    usize::from_str_radix(hex, 16).map_err(|_| format!("net_peerCount answered {count}"))
}
