// A new network for a test: its genesis, its nodes as processes, and the driver of their slots.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { Beacon, SLOTS_PER_EPOCH, forkEpochs } from "./beacon.mjs";
import { Driver } from "./driver.mjs";
import { genesis } from "./genesis.mjs";
import { Node } from "./nodes.mjs";
import { Sender, makeBlobs } from "./transactions.mjs";

const DEV = new URL("../../genesis/dev.json", import.meta.url);
// From a genesis to the first slot: nodes start meanwhile.
const LEAD_SECONDS = 12;
export const VALIDATORS = 64;

/// Genesis, nodes, beacon chain and driver of a new network in a folder.
export async function network({ folder, starling, geth, slotMs, until, port, leadSeconds = LEAD_SECONDS, starlingFlags = [] }) {
  const blobs = makeBlobs(3);
  const genesisTime = Math.floor(Date.now() / 1000) + leadSeconds;
  const epochSeconds = (slotMs * SLOTS_PER_EPOCH) / 1000;
  const times = { pragueTime: genesisTime + epochSeconds, osakaTime: genesisTime + 2 * epochSeconds };
  if (until === "gloas") times.amsterdamTime = genesisTime + 3 * epochSeconds;
  const made = genesis(JSON.parse(fs.readFileSync(DEV, "utf8")), times);
  const [file, jwt] = [path.join(folder, "genesis.json"), path.join(folder, "jwt.hex")];
  fs.writeFileSync(file, JSON.stringify(made));
  fs.writeFileSync(jwt, randomBytes(32).toString("hex"), { mode: 0o600 });
  const nodes = [new Node({ kind: "starling", name: "starling", program: starling, dir: path.join(folder, "starling"), genesis: file, port, jwt, flags: starlingFlags })];
  if (geth) nodes.push(new Node({ kind: "geth", name: "geth", program: geth, dir: path.join(folder, "geth"), genesis: file, port: port + 10, jwt }));
  try {
    await Promise.all(nodes.map((node) => node.start()));
    const genesisBlock = await nodes[0].block("0x0");
    for (const node of nodes) assert.equal((await node.block("0x0")).hash, genesisBlock.hash, `${node.name} has another genesis`);
    if (nodes[1]) await nodes[0].befriend(nodes[1]);
    const sender = new Sender({ chainId: made.config.chainId, blobs });
    const forks = forkEpochs(made.config, genesisTime, slotMs);
    const beacon = new Beacon({ forks, slotMs, genesisTime, genesisBlock, validators: VALIDATORS, owner: sender.accounts[1].address });
    return { nodes, beacon, sender, driver: new Driver({ beacon, nodes, blobs: sender.blobs }) };
  } catch (error) {
    await Promise.all(nodes.map((node) => node.end()));
    throw error;
  }
}
