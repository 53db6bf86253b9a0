// The slots of a network: who builds, who follows, and what each of them must answer.
//
// As a real consensus client does it: two thirds into a slot the builder is asked to prepare the next payload, at its start
// the payload is taken, put into a block and given to every node, and then made the head. All must say VALID and have the
// same head, at every slot. What they say is compared here and nowhere else.
import assert from "node:assert/strict";
import { ForkSeq } from "@lodestar/params";
import { toHex } from "@lodestar/utils";
import { Transaction } from "ethers";
import { versionedHash } from "./beacon.mjs";

const FEES_TO = "0x123463a4b065722e99115d6c222f267d9cabb524";
const CELLS = 128;
const sleepUntil = (time) => new Promise((done) => setTimeout(done, Math.max(0, time - Date.now())));

export class Driver {
  // blobs: those whose proofs are known, as makeBlobs made them.
  constructor({ beacon, nodes, blobs = [], log = console.log }) {
    Object.assign(this, { beacon, nodes, log });
    this.blobs = new Map(blobs.map((one) => [one.hash, one]));
    this.tip = beacon.genesis;
    this.pending = [];
    this.figures = {
      slots: 0, blocks: 0, transactions: 0, blobs: 0, withdrawals: 0,
      requests: { deposits: 0, withdrawals: 0, consolidations: 0, builderDeposits: 0, builderExits: 0 },
      finalizedAtSlot: null, finalizedEpoch: 0, forks: {}, newPayloadMs: Object.fromEntries(nodes.map((node) => [node.name, []])),
    };
  }

  /// One slot: the tip upon `parent`, built by one of the nodes and given to all (`give`). attest: false leaves the votes out.
  async slot(slot, { builder = this.nodes[0], parent = this.tip, attest = true, give = (node, tip) => this.hand(node, tip) } = {}) {
    const { beacon } = this;
    const [fork, slotMs] = [beacon.fork(slot), beacon.config.SLOT_DURATION_MS];
    await sleepUntil(beacon.startMs(slot) - slotMs / 3);
    const { pre, attributes } = beacon.attributes(parent, slot, FEES_TO);
    const id = await builder.lodestar.notifyForkchoiceUpdate(fork, ...beacon.forkchoice(parent), attributes);
    await sleepUntil(beacon.startMs(slot));
    const built = await builder.lodestar.getPayload(fork, id);
    // Votes for blocks that this one does not follow are of no use to it.
    const tip = beacon.block(parent, slot, pre, built, parent === this.tip ? this.pending : []);
    await this.checkBlobs(builder, fork, tip, built.blobsBundle);
    if (beacon.seq(slot) >= ForkSeq.gloas) {
      // Since Gloas the block is there before its payload: its head is still the parent's.
      const [, safe, finalized] = beacon.forkchoice(tip);
      for (const node of this.nodes) await node.lodestar.notifyForkchoiceUpdate(fork, parent.hash, safe, finalized);
    }
    for (const node of this.nodes) await give(node, tip);
    this.pending = attest ? beacon.attestations(tip) : [];
    this.tip = tip;
    this.count(slot, tip, builder);
    return tip;
  }

  /// Gives a tip to a node: it must be VALID and become its head.
  async hand(node, tip) {
    const fork = this.beacon.fork(tip.slot);
    const since = performance.now();
    const answer = await node.lodestar.notifyNewPayload(
      fork, tip.payload, tip.commitments.map(versionedHash), tip.parent.root, tip.executionRequests,
    );
    this.figures.newPayloadMs[node.name].push(performance.now() - since);
    assert.equal(answer.status, "VALID", `${node.name}, slot ${tip.slot}: ${JSON.stringify(answer)}`);
    assert.equal(answer.latestValidHash, tip.hash, `${node.name}: latestValidHash`);
    await node.lodestar.notifyForkchoiceUpdate(fork, ...this.beacon.forkchoice(tip));
    await this.checkHead(node, tip);
  }

  /// JSON-RPC must show what the engine was told.
  async checkHead(node, tip) {
    const [, safe, finalized] = this.beacon.forkchoice(tip);
    const shown = await Promise.all(["latest", "safe", "finalized"].map((tag) => node.block(tag)));
    assert.deepEqual(shown.map((block) => block?.hash), [tip.hash, safe, finalized], `${node.name}: latest, safe and finalized`);
    assert.equal(Number(shown[0].number), tip.number);
    const receipts = await node.call("eth_getBlockReceipts", ["latest"]);
    assert.equal(receipts.length, tip.payload.transactions.length, `${node.name}: receipts of ${tip.hash}`);
  }

  /// The blobs that come with a payload must be those it commits to, and the same that the node gives out by their hashes.
  async checkBlobs(node, fork, tip, bundle) {
    const { commitments } = tip;
    const hashes = commitments.map(versionedHash);
    const named = this.namedByTransactions(tip);
    assert.deepEqual(hashes.map(toHex), named, `${node.name}: commitments and blob hashes of the transactions`);
    if (commitments.length === 0) return;
    const { blobs, proofs } = bundle;
    const proofsEach = ForkSeq[fork] >= ForkSeq.fulu ? CELLS : 1;
    assert.deepEqual([blobs.length, proofs.length], [hashes.length, hashes.length * proofsEach]);
    // Right at the fork to Fulu the head is still the fork's before: until it moves, a node has no cell proofs to give out.
    if (proofsEach === CELLS && this.beacon.seq(tip.parent.slot) < ForkSeq.fulu) return;
    const given = await node.lodestar.getBlobs(fork, hashes);
    assert.ok(given, `${node.name}: getBlobs knows nothing of ${hashes.length} blobs that it has just built with`);
    for (const [index, hash] of named.entries()) {
      const own = proofs.slice(index * proofsEach, (index + 1) * proofsEach);
      const shown = proofsEach === 1 ? [given[index].proof] : given[index].proofs;
      const known = this.blobs.get(hash) ?? { blob: blobs[index], proof: own[0], cellProofs: own };
      const right = (proofsEach === 1 ? [known.proof] : known.cellProofs).map(toHex);
      for (const blob of [blobs[index], given[index].blob]) assert.ok(Buffer.from(known.blob).equals(blob), `${node.name}: blob ${hash}`);
      assert.deepEqual(own.map(toHex), right, `${node.name}: proofs of getPayload`);
      assert.deepEqual(shown.map(toHex), right, `${node.name}: proofs of getBlobs`);
    }
  }

  // In the order of the transactions, which is that of the commitments.
  namedByTransactions(tip) {
    return tip.payload.transactions.filter((raw) => raw[0] === 3).flatMap((raw) => Transaction.from(toHex(raw)).blobVersionedHashes);
  }

  count(slot, tip, builder) {
    const { figures, beacon } = this;
    const { payload, executionRequests: requests } = tip;
    const fork = beacon.fork(slot);
    figures.slots = slot;
    figures.blocks++;
    figures.forks[fork] = (figures.forks[fork] ?? 0) + 1;
    figures.transactions += payload.transactions.length;
    figures.blobs += tip.commitments.length;
    figures.withdrawals += payload.withdrawals.length;
    for (const kind of Object.keys(figures.requests)) figures.requests[kind] += requests[kind]?.length ?? 0;
    const finalized = tip.state.finalizedCheckpoint.epoch;
    if (finalized > 0) figures.finalizedAtSlot ??= slot;
    figures.finalizedEpoch = finalized;
    const asked = Object.values(requests).map((list) => list.length).join("/");
    this.log(
      `slot ${slot} ${fork} block ${tip.number} ${tip.hash.slice(0, 10)} by ${builder.name}: ${payload.transactions.length} transactions, ` +
        `${tip.commitments.length} blobs, requests ${asked}, justified ${tip.state.currentJustifiedCheckpoint.epoch}, finalized ${finalized}, ` +
        `+${Date.now() - beacon.startMs(slot)} ms`,
    );
  }

  /// Figures fit to be printed: of the times only the median and the largest.
  summary() {
    const times = Object.entries(this.figures.newPayloadMs).map(([name, all]) => {
      const sorted = [...all].sort((a, b) => a - b);
      const ms = (value) => Math.round(value * 100) / 100;
      return [name, { p50: ms(sorted[sorted.length >> 1] ?? 0), max: ms(sorted.at(-1) ?? 0) }];
    });
    return { ...this.figures, newPayloadMs: Object.fromEntries(times) };
  }
}
