// A chain among failures: users, reorganisations, kills, missed slots, and a consensus client that also sends nonsense.
//
//   node soak.mjs --starling PATH [--geth PATH] [--minutes 30] [--seed N] [--slot-ms 2000] [--until fulu|gloas] [--port 42100]
//
// Starling builds and is what everything happens to; with geth, geth follows and must agree. At the end every block that was
// acknowledged last and every transaction that was accepted must be there. Prints figures as JSON, exit status 1 if anything
// was not as it must be; the seed repeats the order of events, not the moments of the kills.
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { SLOTS_PER_EPOCH } from "./beacon.mjs";
import { newPayloadParams, versions } from "./forgery.mjs";
import { network } from "./network.mjs";
import { CASES, nonsense } from "./nonsense.mjs";
import { seeded } from "./random.mjs";

// Votes are left out for five epochs now and then: nothing becomes final, and a deep reorganisation is allowed.
const SILENT_EVERY_SLOTS = 120;
const SILENT_SLOTS = 40;
const DEEPEST = 32;
// Slots at the end in which nothing happens, so that what is waiting gets its place.
const QUIET_SLOTS = 24;
// Tips that are kept to be built upon; a deeper reorganisation is not made.
const TIPS_KEPT = 48;
// After a kill the newest of the accepted transactions are asked for; at the end all of them.
const ASKED_AFTER_KILL = 200;

const { values: flags } = parseArgs({
  options: {
    starling: { type: "string" }, geth: { type: "string" }, minutes: { type: "string", default: "30" }, seed: { type: "string" },
    "slot-ms": { type: "string", default: "2000" }, until: { type: "string", default: "gloas" }, port: { type: "string", default: "42100" },
    keep: { type: "boolean", default: false },
  },
});

class Soak {
  constructor({ nodes, beacon, sender, driver }, random) {
    Object.assign(this, { nodes, beacon, sender, driver, random });
    this.starling = nodes[0];
    this.canonical = [beacon.genesis.hash];
    this.figures = { reorgs: 0, deepestReorg: 0, kills: 0, killsInNewPayload: 0, restartMsMax: 0, missedSlots: 0, nonsense: 0, refused: {} };
  }

  chance(one) {
    return this.random() < one;
  }

  between(low, high) {
    return low + Math.floor(this.random() * (high - low + 1));
  }

  async run(minutes) {
    const end = Date.now() + minutes * 60_000;
    let slot = 0;
    while (Date.now() < end) {
      slot = this.next(slot);
      const silent = slot > 5 * SLOTS_PER_EPOCH && slot % SILENT_EVERY_SLOTS < SILENT_SLOTS;
      const deepest = silent && slot % SILENT_EVERY_SLOTS === SILENT_SLOTS - 1;
      await this.one(slot, { attest: !silent, deepest });
      await this.users(slot);
    }
    for (let quiet = 0; quiet < QUIET_SLOTS; quiet++) {
      slot = this.next(slot);
      await this.slot(slot, {});
    }
    await this.checkAll();
    return { ...this.figures, ...this.driver.summary(), accepted: this.sender.accepted.size };
  }

  // Slots that went by while something else happened are missed.
  next(slot) {
    const { beacon, figures } = this;
    const now = Math.floor((Date.now() - beacon.genesisTime * 1000) / beacon.config.SLOT_DURATION_MS);
    const next = Math.max(slot + 1, now);
    figures.missedSlots += next - slot - 1;
    return next;
  }

  async one(slot, { attest, deepest }) {
    if (slot > 2 && this.chance(0.06)) return this.killed(slot, { attest });
    if (slot > 2 && this.chance(0.04)) {
      this.figures.missedSlots++;
      return;
    }
    if (slot > 4 && (deepest || this.chance(0.12))) {
      const depth = deepest ? DEEPEST : this.between(1, this.chance(0.2) ? 12 : 3);
      return this.slot(slot, { parent: this.ancestor(depth), attest });
    }
    await this.slot(slot, { attest });
    if (slot > 2 && this.chance(0.4)) {
      const names = Object.keys(CASES).filter(() => this.chance(0.35));
      this.figures.nonsense += await nonsense({ node: this.starling, beacon: this.beacon, tip: this.driver.tip }, names);
    }
  }

  // So many blocks back, but not behind what is justified: no fork choice goes there.
  ancestor(depth) {
    let at = this.driver.tip;
    const [, justified] = this.beacon.forkchoice(at);
    for (let step = 0; step < depth && at.parent && at.hash !== justified; step++) at = at.parent;
    return at;
  }

  async slot(slot, options) {
    const before = this.driver.tip;
    const tip = await this.driver.slot(slot, options);
    this.keep(before, tip);
  }

  // The chain as it was acknowledged last, and the tips that may still be built upon.
  keep(before, tip) {
    const depth = before.number - tip.parent.number;
    if (depth > 0) {
      this.figures.reorgs++;
      this.figures.deepestReorg = Math.max(this.figures.deepestReorg, depth);
    }
    this.canonical.length = tip.number;
    this.canonical.push(tip.hash);
    let oldest = tip;
    for (let step = 0; step < TIPS_KEPT && oldest.parent; step++) oldest = oldest.parent;
    oldest.parent = null;
  }

  // A block is made, and the node dies while it is given to it, or before, or right after. Whatever it acknowledged must be
  // there when it is back.
  async killed(slot, { attest }) {
    const { starling, driver, figures, beacon } = this;
    const before = driver.tip;
    const moment = this.between(0, 3);
    const give = async (node, tip) => {
      if (node !== starling) return driver.hand(node, tip);
      const fork = beacon.fork(tip.slot);
      const version = versions(beacon.seq(tip.slot)).newPayload;
      if (moment === 0) await this.restart(before, null);
      if (moment === 1) {
        figures.killsInNewPayload++;
        const answer = starling.engine(`engine_newPayloadV${version}`, newPayloadParams(fork, tip)).catch(() => null);
        await new Promise((done) => setTimeout(done, this.random() * 40));
        await starling.stop("SIGKILL");
        const acknowledged = (await answer)?.result?.status === "VALID";
        await this.restart(before, acknowledged ? tip : null);
      }
      await driver.hand(node, tip);
      if (moment === 2) await this.restart(tip, tip);
      if (moment === 3) {
        // between a forkchoice with attributes and its payload
        const { attributes } = beacon.attributes(tip, slot + 1, `0x${"00".repeat(20)}`);
        await starling.lodestar.notifyForkchoiceUpdate(beacon.fork(slot + 1), ...beacon.forkchoice(tip), attributes);
        await this.restart(tip, tip);
      }
    };
    const tip = await driver.slot(slot, { attest, give });
    this.keep(before, tip);
  }

  // Kills the node unless it is dead already and starts it again: the head must be the acknowledged one, `block` must be kept,
  // and so must the transactions.
  async restart(head, block) {
    const { starling, figures } = this;
    await starling.stop("SIGKILL");
    figures.kills++;
    const since = Date.now();
    await starling.start();
    figures.restartMsMax = Math.max(figures.restartMsMax, Date.now() - since);
    const shown = await starling.block("latest");
    assert.equal(shown.hash, head.hash, `after a kill the head is ${shown.number}, not ${head.number}`);
    if (block) assert.ok(await starling.block(block.hash), `after a kill block ${block.hash} is gone, which was VALID`);
    for (const hash of [...this.sender.accepted.keys()].slice(-ASKED_AFTER_KILL)) {
      assert.ok(await starling.call("eth_getTransactionByHash", [hash]), `after a kill transaction ${hash} (${this.sender.accepted.get(hash)}) is gone`);
    }
    if (this.nodes[1]) await starling.befriend(this.nodes[1]);
  }

  async users(slot) {
    const { sender, starling, beacon } = this;
    const cells = ["fulu", "gloas"].includes(beacon.fork(slot + 1));
    try {
      for (let count = this.between(0, 12); count > 0; count--) await sender.transfer(starling);
      // Before Osaka proofs are of blobs; geth 1.17 takes proofs of cells alone, at any time, and drops whoever sends others.
      const blobs = this.chance(0.5) && (cells || !this.nodes[1]);
      if (blobs) await sender.blob(starling, sender.blobs.slice(0, this.between(1, 3)), cells);
    } catch (error) {
      // A full pool may refuse; what it refuses is not lost.
      const why = error.message.slice(0, 60);
      this.figures.refused[why] = (this.figures.refused[why] ?? 0) + 1;
    }
  }

  async checkAll() {
    for (const node of this.nodes) {
      for (const [number, hash] of this.canonical.entries()) {
        const block = await node.block(`0x${number.toString(16)}`);
        assert.equal(block?.hash, hash, `${node.name}: block ${number} of the chain that was acknowledged`);
      }
      assert.deepEqual(await this.sender.missing(node), [], `${node.name}: accepted transactions that are not in the chain`);
    }
  }
}

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "starling-soak-"));
const seed = Number(flags.seed ?? Date.now() % 1_000_000);
console.log(`seed ${seed}`);
let made = null;
try {
  const { starling, geth, until } = flags;
  made = await network({ folder, starling, geth, slotMs: Number(flags["slot-ms"]), until, port: Number(flags.port) });
  const figures = await new Soak(made, seeded(seed)).run(Number(flags.minutes));
  console.log(JSON.stringify({ seed, ...figures }));
} catch (error) {
  console.error(error);
  console.error(`seed ${seed}; logs and data: ${folder}`);
  process.exitCode = 1;
} finally {
  for (const node of made?.nodes ?? []) await node.end();
  if (!process.exitCode && !flags.keep) fs.rmSync(folder, { recursive: true, force: true });
}
// Lodestar's client keeps timers of its own.
process.exit();
