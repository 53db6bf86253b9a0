// The consensus client of a local network: what `starling testnet up --pos` starts.
//
//   node local.mjs DIR
//
// DIR is the network's folder. Its nodes are read from it at every slot (DIR/node-N/data/node.json), so nodes may come, go and
// come back; who answers takes its turn at building, and all are told of every block. What is needed to go on after a
// restart is written after each slot (DIR/consensus/tip.json and the state that it names): slots that went by meanwhile are missed.
import fs from "node:fs";
import path from "node:path";
import { fromHex, toHex } from "@lodestar/utils";
import { Beacon, forkEpochs, versionedHash } from "./beacon.mjs";
import { call, lodestarEngine } from "./engine.mjs";

const FEES_TO = "0x123463a4b065722e99115d6c222f267d9cabb524";
const LEAD_SECONDS = 3;
// What names safe and finalized blocks reaches so far back.
const PAYLOADS_KEPT = 512;
const folder = process.argv[2];
const kept = path.join(folder, "consensus");
const sleepUntil = (time) => new Promise((done) => setTimeout(done, Math.max(0, time - Date.now())));
const log = (...words) => console.log(new Date().toISOString(), ...words);
const read = (...names) => JSON.parse(fs.readFileSync(path.join(...names), "utf8"));

// Whole or not at all, however this process ends.
function write(name, bytes) {
  fs.writeFileSync(path.join(kept, `${name}.new`), bytes);
  fs.renameSync(path.join(kept, `${name}.new`), path.join(kept, name));
}

const members = new Map();

/// The nodes that are up, by what their files say; the engine of one that came back on other ports is a new one.
function nodes() {
  const names = fs.readdirSync(folder).filter((name) => /^node-\d+$/.test(name)).sort((a, b) => Number(a.slice(5)) - Number(b.slice(5)));
  return names.flatMap((name) => {
    const file = path.join(folder, name, "data", "node.json");
    if (!fs.existsSync(file)) return [];
    const { http, engine, jwt } = read(file);
    if (members.get(name)?.url !== engine) {
      const secret = fs.readFileSync(jwt, "utf8").trim();
      members.set(name, { name, url: engine, http, lodestar: lodestarEngine(engine, secret, new AbortController().signal) });
    }
    return [members.get(name)];
  });
}

async function firstAnswer() {
  for (;;) {
    for (const node of nodes()) {
      const block = await call(node.http, "eth_getBlockByNumber", ["0x0", false]).catch(() => null);
      if (block) return block;
    }
    await sleepUntil(Date.now() + 200);
  }
}

/// The chain where it was left, or a new one.
async function open() {
  const genesisBlock = await firstAnswer();
  const slotMs = read(folder, "network.json").period * 1000;
  const file = path.join(kept, "tip.json");
  const left = fs.existsSync(file) ? read(file) : null;
  const genesisTime = left?.genesisTime ?? Math.floor(Date.now() / 1000) + LEAD_SECONDS;
  const forks = forkEpochs(read(folder, "genesis.json").config, genesisTime, slotMs);
  const beacon = new Beacon({ forks, slotMs, genesisTime, genesisBlock });
  if (!left) return { beacon, tip: beacon.genesis };
  const state = beacon.load(fs.readFileSync(path.join(kept, stateFile(left.slot))), left.slot);
  beacon.payloads = new Map(left.payloads);
  beacon.learn(state);
  return { beacon, tip: { ...beacon.genesis, slot: left.slot, root: fromHex(left.root), hash: left.hash, number: left.number, state } };
}

const stateFile = (slot) => `state-${slot}.ssz`;

// A new state, then the name of it, and then the old one may go.
function save(beacon, { slot, root, hash, number, state }, before) {
  write(stateFile(slot), state.serialize());
  const payloads = [...beacon.payloads].slice(-PAYLOADS_KEPT);
  write("tip.json", JSON.stringify({ genesisTime: beacon.genesisTime, slot, root: toHex(root), hash, number, payloads }));
  fs.rmSync(path.join(kept, stateFile(before.slot)), { force: true });
}

/// A payload of the first node, from `turn` on, that can build upon a tip.
async function build(beacon, parent, slot, turn) {
  const fork = beacon.fork(slot);
  const { pre, attributes } = beacon.attributes(parent, slot, FEES_TO);
  const known = nodes();
  for (let step = 0; step < known.length; step++) {
    const node = known[(turn + step) % known.length];
    try {
      const id = await node.lodestar.notifyForkchoiceUpdate(fork, ...beacon.forkchoice(parent), attributes);
      return { node, pre, id };
    } catch (error) {
      log(`slot ${slot}: ${node.name} does not build: ${error.message}`);
    }
  }
  return null;
}

/// Tells a node of a tip; one that lacks what is before it fetches that from its peers.
async function tell(beacon, node, tip) {
  const fork = beacon.fork(tip.slot);
  const { status, validationError } = await node.lodestar.notifyNewPayload(
    fork, tip.payload, tip.commitments.map(versionedHash), tip.parent.root, tip.executionRequests,
  );
  if (status === "VALID" || status === "SYNCING" || status === "ACCEPTED") {
    await node.lodestar.notifyForkchoiceUpdate(fork, ...beacon.forkchoice(tip));
    return status === "VALID" ? node.name : `${node.name} (${status})`;
  }
  throw Error(`${node.name} says ${status}: ${validationError}`);
}

async function run() {
  const { beacon, tip: opened } = await open();
  const slotMs = beacon.config.SLOT_DURATION_MS;
  let [tip, votes] = [opened, []];
  log(`from slot ${tip.slot}, genesis time ${beacon.genesisTime}`);
  for (let slot = tip.slot + 1; ; slot++) {
    slot = Math.max(slot, Math.floor((Date.now() - beacon.genesisTime * 1000) / slotMs));
    await sleepUntil(beacon.startMs(slot) - slotMs / 3);
    const building = await build(beacon, tip, slot, slot);
    await sleepUntil(beacon.startMs(slot));
    if (!building) continue;
    const { node, pre, id } = building;
    try {
      const built = await node.lodestar.getPayload(beacon.fork(slot), id);
      const next = beacon.block(tip, slot, pre, built, votes);
      const told = await Promise.allSettled(nodes().map((one) => tell(beacon, one, next)));
      const names = told.filter((one) => one.status === "fulfilled").map((one) => one.value);
      for (const one of told) if (one.status === "rejected") log(`slot ${slot}: ${one.reason.message}`);
      // Nobody has it: it was never there.
      if (names.length === 0) continue;
      votes = beacon.attestations(next);
      next.parent = null;
      save(beacon, next, tip);
      tip = next;
      const final = beacon.finalized.epoch;
      log(`slot ${slot}: block ${tip.number} ${tip.hash} by ${node.name}, ${next.commitments.length} blobs, finalized epoch ${final}; ${names.join(" ")}`);
    } catch (error) {
      log(`slot ${slot}: missed: ${error.message}`);
    }
  }
}

process.on("SIGTERM", () => process.exit(0));
fs.mkdirSync(kept, { recursive: true });
await run();
