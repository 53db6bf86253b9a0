//! The network as its folder tells it.

use super::{process, rpc};
use crate::{
    cli::DIR_DEFAULT,
    failure::{Context, Failure},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Decided when the network is made, in `network.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Settings {
    pub(super) chain_id: u64,
    /// Seconds from one block to the next.
    pub(super) period: u64,
    /// Driven by a consensus client instead of sealers.
    #[serde(default)]
    pub(super) pos: bool,
    /// Free ports instead of the known ones.
    pub(super) any_ports: bool,
    /// Where nodes listen for peers.
    pub(super) addr: std::net::IpAddr,
}

/// A network.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) dir: PathBuf,
    pub(super) settings: Settings,
    /// In the order of their numbers, from 1.
    pub(super) members: Vec<Member>,
}

/// One of its nodes.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) number: u16,
    pub(super) name: String,
    pub(super) dir: PathBuf,
}

impl Network {
    /// The network in a folder; none if there is none yet.
    pub(super) fn open(dir: &Path) -> Result<Option<Self>, Failure> {
        let path = dir.join("network.json");
        if !path.exists() {
            return Ok(None);
        }
        let shown = path.display();
        let text = fs::read_to_string(&path).context(format_args!("cannot read {shown}"))?;
        let settings = serde_json::from_str(&text).context(format_args!("{shown}"))?;
        let members = (1..).map(|number| Member::at(dir, number)).take_while(|member| member.dir.exists()).collect();
        Ok(Some(Self { dir: dir.into(), settings, members }))
    }

    /// The network in a folder, which must be there.
    pub(super) fn existing(dir: &Path) -> Result<Self, Failure> {
        Self::open(dir)?.ok_or_else(|| {
            Failure::new(format_args!("there is no network in {}", dir.display()))
                .remedy("make one with `starling testnet up`, or name another --dir")
        })
    }

    /// What to type for another command on this network.
    pub(super) fn command(&self, name: &str) -> String {
        match self.dir == Path::new(DIR_DEFAULT) {
            true => format!("starling testnet {name}"),
            false => format!("starling testnet {name} --dir {}", self.dir.display()),
        }
    }

    /// The error of a network that does not run.
    pub(super) fn not_running(&self) -> Failure {
        Failure::new("the network does not run").remedy(format_args!("start it with `{}`", self.command("up")))
    }

    pub(super) fn genesis(&self) -> PathBuf {
        self.dir.join("genesis.json")
    }

    /// Those who answer.
    pub(super) fn running(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.is_running())
    }

    /// Starts those who do not run; how many these were.
    pub(super) fn start(&self) -> Result<usize, Failure> {
        self.start_among(&self.members)
    }

    /// Starts some, which are told only each other.
    pub(super) fn start_among(&self, members: &[Member]) -> Result<usize, Failure> {
        let mut started = 0;
        for member in members {
            if member.is_running() {
                continue;
            }
            let known = members.iter().filter(|other| other.number != member.number && other.is_running());
            let known: Vec<_> = known.filter_map(Member::record).take(1).collect();
            process::start(self, member, &known)?;
            started += 1;
        }
        Ok(started)
    }

    /// Stops those who run; how many these were.
    pub(super) fn stop(&self) -> Result<usize, Failure> {
        let running: Vec<_> = self.running().filter_map(|member| Some((member, member.pid()?))).collect();
        for (_, pid) in &running {
            process::terminate(*pid)?;
        }
        for (member, pid) in &running {
            process::wait_for_end(member, *pid)?;
        }
        Ok(running.len())
    }

    /// The same network with one node more, which does not seal.
    pub(super) fn with_one_more(mut self) -> Result<Self, Failure> {
        let number = self.members.last().map_or(1, |last| last.number + 1);
        let member = Member::at(&self.dir, number);
        fs::create_dir_all(&member.dir).context(format_args!("cannot make {}", member.dir.display()))?;
        self.members.push(member);
        Ok(self)
    }
}

impl Member {
    pub(super) fn at(dir: &Path, number: u16) -> Self {
        let name = format!("node-{number}");
        Self { number, dir: dir.join(&name), name }
    }

    pub(super) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.dir.join("node.log")
    }

    pub(super) fn sealer_key(&self) -> PathBuf {
        self.dir.join("sealer.key")
    }

    pub(super) fn seals(&self) -> bool {
        self.sealer_key().exists()
    }

    /// What a node that is up says of itself.
    pub(super) fn node_file(&self) -> PathBuf {
        self.data().join("node.json")
    }

    /// Whether it answers: a killed one leaves its file behind.
    pub(super) fn is_running(&self) -> bool {
        self.http().is_some_and(|url| rpc::call(&url, "web3_clientVersion", &[]).is_ok())
            && self.pid().is_some_and(process::is_alive)
    }

    pub(super) fn pid(&self) -> Option<i32> {
        self.read()?.get("pid")?.as_i64()?.try_into().ok()
    }

    /// Its JSON-RPC.
    pub(super) fn http(&self) -> Option<String> {
        Some(self.read()?.get("http")?.as_str()?.into())
    }

    /// Its node record.
    pub(super) fn record(&self) -> Option<String> {
        Some(self.read()?.get("enr")?.as_str()?.into())
    }

    /// One call; none if it does not answer, or not with a result.
    pub(super) fn ask(&self, method: &str, params: &[Value]) -> Option<Value> {
        rpc::call(&self.http()?, method, params).ok()
    }

    fn read(&self) -> Option<Value> {
        serde_json::from_str(&fs::read_to_string(self.node_file()).ok()?).ok()
    }
}
