//! Peers of every character.

use crate::chain::Source;
use alloy_rlp::Decodable;
use rand::{RngExt, rngs::StdRng};
use starling_devp2p::eth::{EthVersion, Request, Response};
use starling_primitives::{Bytes, Header, U256};
use starling_sync::serve;
use std::time::Duration;

/// How a peer behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Character {
    /// Answers all.
    Honest,
    /// Answers all, half of what was asked at a time.
    Short,
    /// Loses one answer in five.
    Lossy,
    /// Never answers.
    Silent,
    /// Has nothing.
    Empty,
    /// Answers so many requests, then is gone.
    Vanishes(u32),
    /// Changes a byte in the middle of each item.
    Tampers,
    /// Sends items in the opposite order.
    Reverses,
    /// Sends the first item again and again.
    Loops,
    /// Sends one item more than was asked for.
    Exceeds,
    /// Sends the items of other blocks.
    Displaces,
    /// Sends bodies for headers and headers for bodies.
    Confuses,
    /// Sends a chain of headers that it made up, linked by true hashes.
    Forges,
}

impl Character {
    pub(crate) const LIARS: [Self; 7] =
        [Self::Tampers, Self::Reverses, Self::Loops, Self::Exceeds, Self::Displaces, Self::Confuses, Self::Forges];

    /// How long an answer takes.
    pub(crate) fn latency(self, rng: &mut StdRng) -> Duration {
        Duration::from_millis(rng.random_range(20..400))
    }

    /// The answer, and whether it is a lie; none if none comes.
    pub(crate) fn answer(
        self,
        source: &Source,
        version: EthVersion,
        request: &Request,
        rng: &mut StdRng,
    ) -> Option<(Response, bool)> {
        let truth = serve::answer(&source.view(), version, request).expect("readable").expect("about the chain");
        let items = truth.items().to_vec();
        let rebuild = |items| match &truth {
            Response::BlockHeaders(_) => Response::BlockHeaders(items),
            _ => Response::BlockBodies(items),
        };
        let told = match self {
            Self::Honest | Self::Vanishes(_) => items.clone(),
            Self::Short => items[..items.len().div_ceil(2)].to_vec(),
            Self::Lossy if rng.random_range(0..5) == 0 => return None,
            Self::Lossy => items.clone(),
            Self::Silent => return None,
            Self::Empty => Vec::new(),
            Self::Tampers => items.iter().map(tampered).collect(),
            Self::Reverses => items.iter().rev().cloned().collect(),
            Self::Loops => items.iter().map(|_| items[0].clone()).collect(),
            Self::Exceeds => {
                let missing = limit(request) + 1 - items.len().min(limit(request));
                items.iter().cloned().chain(std::iter::repeat_n(items.first()?.clone(), missing)).collect()
            }
            Self::Displaces => displaced(source, version, request, &items),
            Self::Confuses => {
                let other = match &truth {
                    Response::BlockHeaders(_) => Response::BlockBodies(items),
                    _ => Response::BlockHeaders(items),
                };
                return Some((other, true));
            }
            Self::Forges if matches!(truth, Response::BlockHeaders(_)) => forged(&items),
            Self::Forges => items.clone(),
        };
        let is_honest = matches!(self, Self::Honest | Self::Short | Self::Lossy | Self::Empty | Self::Vanishes(_));
        let is_lie = !is_honest && told != items;
        Some((rebuild(told), is_lie))
    }
}

fn limit(request: &Request) -> usize {
    match request {
        Request::BlockHeaders(request) => request.limit as usize,
        Request::BlockBodies(hashes) => hashes.len(),
        _ => 0,
    }
}

fn tampered(item: &Bytes) -> Bytes {
    let mut bytes = item.to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    bytes.into()
}

/// What would be right for the blocks one further.
fn displaced(source: &Source, version: EthVersion, request: &Request, items: &[Bytes]) -> Vec<Bytes> {
    let view = source.view();
    let head = view.head().number;
    let headers = items.iter().filter_map(|item| Header::decode(&mut item.as_ref()).ok());
    let others: Vec<_> = match request {
        Request::BlockHeaders(_) => headers.map(|header| source.hash((header.number + 1).min(head))).collect(),
        Request::BlockBodies(hashes) => hashes
            .iter()
            .filter_map(|hash| view.find(starling_state::BlockId::Hash(*hash)).ok().flatten())
            .map(|at| source.hash(if at.number == head { 1 } else { at.number + 1 }))
            .collect(),
        _ => Vec::new(),
    };
    match request {
        Request::BlockHeaders(_) => {
            let ids = others.iter().map(|hash| starling_state::BlockId::Hash(*hash));
            ids.filter_map(|id| view.header(id).ok().flatten()).map(|header| alloy_rlp::encode(header).into()).collect()
        }
        _ => {
            let answer = serve::answer(&view, version, &Request::BlockBodies(others)).expect("readable");
            answer.map(|answer| answer.items().to_vec()).unwrap_or_default()
        }
    }
}

/// The same headers with another difficulty or extra data, linked anew.
fn forged(items: &[Bytes]) -> Vec<Bytes> {
    let mut headers: Vec<Header> = items.iter().map(|item| Header::decode(&mut item.as_ref()).expect("ours")).collect();
    let descends = headers.len() > 1 && headers[0].number > headers[1].number;
    if descends {
        headers.reverse();
    }
    let mut parent = None;
    for header in &mut headers {
        header.parent_hash = parent.unwrap_or(header.parent_hash);
        if header.difficulty > U256::ZERO {
            header.difficulty += U256::from(7);
        } else {
            header.extra_data = b"forged".as_slice().into();
        }
        parent = Some(header.hash_slow());
    }
    if descends {
        headers.reverse();
    }
    headers.iter().map(|header| alloy_rlp::encode(header).into()).collect()
}
