//! DNS lists: the published example, and lists of our own walked in virtual time.

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use proptest::prelude::*;
use rand::{SeedableRng, rngs::StdRng};
use starling_discovery::{
    Record, RecordContent,
    dns::{Action, Entry, InvalidEntry, Root, TreeClient, TreeUrl},
};
use starling_primitives::{NodeKey, keccak256};
use starling_testkit::fixtures;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    time::{Duration, Instant},
};

/// DNS names, upper case, with their texts.
type Zone = BTreeMap<String, String>;

#[derive(Default)]
struct Walk {
    found: Vec<Record>,
    invalid: Vec<(String, InvalidEntry)>,
    asked: Vec<(Duration, String)>,
}

/// Lets the client walk for so long; each name of the zone is answered after 20 ms, the others fail.
fn walk(client: &mut TreeClient, zone: &Zone, start: &mut Instant, time: Duration) -> Walk {
    let (mut walk, begin, end) = (Walk::default(), *start, *start + time);
    let mut answers: Vec<(Instant, String)> = Vec::new();
    loop {
        while let Some(action) = client.poll() {
            match action {
                Action::Resolve(name) => {
                    walk.asked.push((*start - begin, name.clone()));
                    answers.push((*start + Duration::from_millis(20), name));
                }
                Action::Found(record) => walk.found.push(record),
                Action::Invalid { name, reason } => walk.invalid.push((name, reason)),
            }
        }
        let next = answers.iter().map(|(at, _)| *at).chain(client.next_deadline()).min();
        let Some(next) = next.filter(|next| *next <= end) else { break };
        *start = next.max(*start);
        for (_, name) in answers.extract_if(.., |(at, _)| *at <= *start) {
            let text = zone.get(&name.to_uppercase()).map(|text| vec!["something else".to_string(), text.clone()]);
            client.handle(&name, text.as_deref(), *start);
        }
        client.advance(*start);
    }
    *start = end;
    walk
}

fn client(urls: &[TreeUrl], now: Instant) -> TreeClient {
    TreeClient::new(urls.iter().cloned(), now, StdRng::seed_from_u64(1))
}

#[test]
fn published_list() {
    let Some(text) = fixtures::read("vectors/dns-eip1459.json") else { return };
    let vector: serde_json::Value = serde_json::from_str(&text).unwrap();
    let zone: Zone = vector["zone"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(label, text)| {
            let name = if label == "@" { "nodes.example.org".into() } else { format!("{label}.nodes.example.org") };
            (name.to_uppercase(), text.as_str().unwrap().to_string())
        })
        .collect();

    let url: TreeUrl = vector["urlOfSigner"].as_str().unwrap().parse().unwrap();
    assert_eq!(url.to_string(), vector["urlOfSigner"].as_str().unwrap());
    let mut now = Instant::now();
    let walked = walk(&mut client(&[url], now), &zone, &mut now, Duration::from_secs(5));
    let found: BTreeSet<String> = walked.found.iter().map(Record::to_string).collect();
    let expect: BTreeSet<String> = zone.values().filter(|text| text.starts_with("enr:")).cloned().collect();
    assert_eq!(found, expect);
    assert_eq!(walked.invalid, []);
    assert!(walked.asked.iter().any(|(_, name)| name == "morenodes.example.org"), "the link was not followed");

    // The key in the URL as the EIP prints it is not the one that signed.
    let url: TreeUrl = vector["url"].as_str().unwrap().parse().unwrap();
    let walked = walk(&mut client(&[url], now), &zone, &mut now, Duration::from_secs(5));
    assert!(walked.found.is_empty());
    assert_eq!(walked.invalid[0], ("nodes.example.org".into(), InvalidEntry::Signature));
}

/// A signed list of so many nodes, with branches of 13.
fn list(domain: &str, key: &NodeKey, seq: u64, nodes: std::ops::Range<u64>, links: &[TreeUrl]) -> Zone {
    let mut zone = Zone::new();
    let mut add = |text: String| {
        let hash = BASE32_NOPAD.encode(&keccak256(&text)[..16]);
        zone.insert(format!("{hash}.{domain}").to_uppercase(), text);
        hash
    };
    let mut build = |leaves: Vec<String>| {
        let mut level: Vec<String> = leaves.into_iter().map(&mut add).collect();
        loop {
            level = level.chunks(13).map(|part| add(format!("enrtree-branch:{}", part.join(",")))).collect();
            if level.len() <= 1 {
                break level.pop().unwrap_or_else(|| add("enrtree-branch:".into()));
            }
        }
    };
    let enr_root = build(nodes.map(|seed| record(seed).to_string()).collect());
    let link_root = build(links.iter().map(TreeUrl::to_string).collect());
    let signed = format!("enrtree-root:v1 e={enr_root} l={link_root} seq={seq}");
    let signature = BASE64URL_NOPAD.encode(&key.sign_recoverable(&keccak256(&signed)));
    zone.insert(domain.to_uppercase(), format!("{signed} sig={signature}"));
    zone
}

fn key(seed: u64) -> NodeKey {
    NodeKey::random(&mut StdRng::seed_from_u64(seed))
}

fn record(seed: u64) -> Record {
    let content = RecordContent { seq: 1, ip4: Some(Ipv4Addr::new(1, 2, 3, 4)), ..Default::default() };
    Record::sign(&key(seed), &content)
}

fn url(key: &NodeKey, domain: &str) -> TreeUrl {
    TreeUrl { signer: key.public(), domain: domain.into() }
}

#[test]
fn a_list_is_walked_once_at_three_names_a_second() {
    let signer = key(1000);
    let zone = list("a.example", &signer, 1, 0..200, &[]);
    let mut now = Instant::now();
    let mut client = client(&[url(&signer, "a.example")], now);
    let walked = walk(&mut client, &zone, &mut now, Duration::from_secs(29 * 60));
    assert_eq!(walked.found.len(), 200);
    assert_eq!(walked.asked.len(), zone.len());
    for pair in walked.asked.windows(2) {
        assert!(pair[1].0 - pair[0].0 >= Duration::from_millis(333), "{pair:?}");
    }
    // nobody wants more: only the root is looked at
    client.set_wanted(false);
    assert_eq!(walk(&mut client, &zone, &mut now, Duration::from_secs(30 * 60)).asked.len(), 1);
    // someone does: the list begins again
    client.set_wanted(true);
    assert_eq!(walk(&mut client, &zone, &mut now, Duration::from_secs(30 * 60)).found.len(), 200);
}

#[test]
fn a_changed_list_is_asked_only_for_what_is_new() {
    let signer = key(1000);
    let mut now = Instant::now();
    let mut client = client(&[url(&signer, "a.example")], now);
    walk(&mut client, &list("a.example", &signer, 1, 0..130, &[]), &mut now, Duration::from_secs(20 * 60));
    let newer = list("a.example", &signer, 2, 0..133, &[]);
    let walked = walk(&mut client, &newer, &mut now, Duration::from_secs(30 * 60));
    assert_eq!(walked.found.len(), 3);
    // an older root from a cache changes nothing
    let older = list("a.example", &signer, 1, 0..130, &[]);
    let walked = walk(&mut client, &older, &mut now, Duration::from_secs(30 * 60));
    assert_eq!((walked.found.len(), walked.asked.len()), (0, 1));
}

#[test]
fn links_are_followed_once_and_circles_end() {
    let (a, b) = (key(1000), key(1001));
    let mut zone = list("a.example", &a, 1, 0..3, &[url(&b, "b.example"), url(&b, "c.example")]);
    zone.extend(list("b.example", &b, 1, 3..6, &[url(&a, "a.example")]));
    let mut now = Instant::now();
    let walked = walk(&mut client(&[url(&a, "a.example")], now), &zone, &mut now, Duration::from_secs(20 * 60));
    assert_eq!(walked.found.len(), 6);
    let roots = walked.asked.iter().filter(|(_, name)| name == "a.example").count();
    assert_eq!(roots, 1);
    // a list that is not there is asked for ever more rarely
    let missing = walked.asked.iter().filter(|(_, name)| name == "c.example").count();
    assert!((2..10).contains(&missing), "{missing}");
}

#[test]
fn lies_are_refused_and_named() {
    let signer = key(1000);
    let mut zone = list("a.example", &signer, 1, 0..2, &[]);
    let leaf = zone.iter().find(|(_, text)| text.starts_with("enr:")).map(|(name, _)| name.clone()).unwrap();
    zone.insert(leaf.clone(), record(77).to_string());
    let mut now = Instant::now();
    let mut client = client(&[url(&signer, "a.example")], now);
    let walked = walk(&mut client, &zone, &mut now, Duration::from_secs(60));
    assert_eq!(walked.found.len(), 1);
    assert!(walked.invalid.iter().all(|(name, reason)| name.to_uppercase() == leaf && *reason == InvalidEntry::Hash));
    assert_eq!(walked.invalid.len(), 3);
}

#[test]
fn silence_is_waited_out() {
    let mut now = Instant::now();
    let mut client = client(&[url(&key(1000), "a.example")], now);
    client.advance(now);
    assert_eq!(client.poll(), Some(Action::Resolve("a.example".into())));
    now += Duration::from_secs(10);
    client.advance(now);
    assert_eq!(client.poll(), None);
    now = client.next_deadline().unwrap();
    client.advance(now);
    assert_eq!(client.poll(), Some(Action::Resolve("a.example".into())));
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "(enrtree-root:v1 |enrtree-branch:|enrtree://|enr:)?[ -~]{0,200}") {
        let _ = Root::parse(&text, &key(1).public());
        let _ = text.parse::<TreeUrl>();
        let hash = BASE32_NOPAD.encode(&keccak256(&text)[..16]);
        let _ = Entry::parse(&text, &hash.parse().unwrap());
    }
}
