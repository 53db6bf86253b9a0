// The consensus layer's rules: states, blocks and attestations of validators that all live here.
//
// Lodestar's state transition does the work, every signature and state root checked. Nothing here opens a socket or reads a
// clock. A block of ours is a `tip`: its slot, root, post-state and the execution block it carries. Tips form a tree, and any
// of them can be built upon, which is how reorganisations are made.
import "./preset.mjs";
import { aggregateSignatures } from "@chainsafe/blst";
import { BitArray } from "@chainsafe/ssz";
import { createBeaconConfig, createChainForkConfig } from "@lodestar/config";
import * as params from "@lodestar/params";
import * as st from "@lodestar/state-transition";
import { ssz, sszTypesFor } from "@lodestar/types";
import { fromHex, toHex } from "@lodestar/utils";
import { sha256 } from "@noble/hashes/sha256";
import { initDevState } from "./node_modules/@lodestar/beacon-node/lib/node/utils/state.js";
import { applyParentExecutionPayload } from "./node_modules/@lodestar/state-transition/lib/block/processParentExecutionPayload.js";
import { initializeProposerLookahead } from "./node_modules/@lodestar/state-transition/lib/util/fulu.js";

const { ForkSeq } = params;
export const SLOTS_PER_EPOCH = params.SLOTS_PER_EPOCH;
const GWEI = 1_000_000_000;
const VERIFIED = { executionPayloadStatus: "valid", dataAvailabilityStatus: "Available" };
const UNSIGNED = Buffer.alloc(96);

// Lodestar hands out views of its trees; what is put into a block must be a plain value.
const plain = (view) => (view.toValue ? view.toValue() : view);
const noRequests = (seq) => (seq >= ForkSeq.gloas ? ssz.gloas : ssz.electra).ExecutionRequests.defaultValue();

/// The hash by which a blob transaction names a commitment (EIP-4844).
export function versionedHash(commitment) {
  const hash = sha256(commitment);
  hash[0] = 1;
  return hash;
}

/// The epochs at which the consensus layer changes its rules, from the times at which the execution layer does.
export function forkEpochs(genesisConfig, genesisTime, slotMs) {
  const epoch = (time) => {
    if (time === undefined) return Infinity;
    if (time <= genesisTime) return 0;
    const epochs = ((time - genesisTime) * 1000) / (slotMs * SLOTS_PER_EPOCH);
    if (!Number.isInteger(epochs)) throw Error(`a fork at ${time} is not at the start of an epoch`);
    return epochs;
  };
  return {
    DENEB_FORK_EPOCH: epoch(genesisConfig.cancunTime),
    ELECTRA_FORK_EPOCH: epoch(genesisConfig.pragueTime),
    FULU_FORK_EPOCH: epoch(genesisConfig.osakaTime),
    GLOAS_FORK_EPOCH: epoch(genesisConfig.amsterdamTime),
  };
}

export class Beacon {
  // forks: of forkEpochs. owner: address that may ask for withdrawals of the last `owned` validators. genesisBlock: number 0
  // as JSON-RPC shows it.
  constructor({ forks, slotMs, genesisTime, genesisBlock, validators = 64, owned = 8, owner }) {
    const chain = createChainForkConfig({
      PRESET_BASE: params.ACTIVE_PRESET, CONFIG_NAME: "devnet", TERMINAL_TOTAL_DIFFICULTY: 0n,
      ALTAIR_FORK_EPOCH: 0, BELLATRIX_FORK_EPOCH: 0, CAPELLA_FORK_EPOCH: 0, ...forks,
      SECONDS_PER_SLOT: slotMs / 1000, SLOT_DURATION_MS: slotMs,
      // Exits, consolidations and withdrawals take epochs, not days; the churn leaves room for a consolidation.
      SHARD_COMMITTEE_PERIOD: 0, MIN_VALIDATOR_WITHDRAWABILITY_DELAY: 1,
      MIN_PER_EPOCH_CHURN_LIMIT_ELECTRA: 256 * GWEI, MAX_PER_EPOCH_ACTIVATION_EXIT_CHURN_LIMIT: 128 * GWEI,
    });
    this.genesisTime = genesisTime;
    this.genesisHash = genesisBlock.hash;
    this.validators = validators;
    this.keys = st.interopSecretKeys(validators);
    const raw = initDevState(chain, validators, {
      genesisTime, eth1BlockHash: fromHex(genesisBlock.hash), eth1Timestamp: Number(genesisBlock.timestamp), withEth1Credentials: true,
    });
    for (let index = validators - owned; owner && index < validators; index++) {
      raw.validators.get(index).withdrawalCredentials = Buffer.concat([Buffer.from([1]), Buffer.alloc(11), fromHex(owner)]);
    }
    raw.commit();
    raw.genesisValidatorsRoot = raw.validators.hashTreeRoot();
    raw.commit();
    this.config = createBeaconConfig(chain, raw.genesisValidatorsRoot);
    let state = this.cached(raw);
    if (this.config.getForkSeq(0) >= ForkSeq.fulu) {
      raw.proposerLookahead = ssz.fulu.ProposerLookahead.toViewDU(initializeProposerLookahead(state));
      raw.commit();
      state = this.cached(raw);
    }
    const header = ssz.phase0.BeaconBlockHeader.clone(plain(state.latestBlockHeader));
    header.stateRoot = state.hashTreeRoot();
    const root = ssz.phase0.BeaconBlockHeader.hashTreeRoot(header);
    // Which execution block a block carries, to name safe and finalized ones.
    this.payloads = new Map([[toHex(root), genesisBlock.hash]]);
    [this.justified, this.finalized] = [{ epoch: 0, root }, { epoch: 0, root }];
    this.genesis = { slot: 0, root, state, hash: genesisBlock.hash, number: 0, requests: noRequests(ForkSeq.gloas), parent: null };
  }

  cached(raw) {
    return st.createCachedBeaconState(raw, { config: this.config, pubkeyCache: st.createPubkeyCache() }, {});
  }

  fork(slot) {
    return this.config.getForkName(slot);
  }

  seq(slot) {
    return this.config.getForkSeq(slot);
  }

  startMs(slot) {
    return this.genesisTime * 1000 + slot * this.config.SLOT_DURATION_MS;
  }

  /// Head, safe and finalized as an engine is told them. Before anything is justified they are the genesis, as Lodestar has it.
  /// What was justified and finalized by any tip stays so, as in the store of a fork choice.
  forkchoice(tip) {
    const hash = ({ epoch, root }) => (epoch === 0 ? this.genesisHash : this.payloads.get(toHex(root)));
    return [tip.hash, hash(this.justified), hash(this.finalized)];
  }

  // Takes over what a state justifies and finalizes.
  learn({ currentJustifiedCheckpoint, finalizedCheckpoint }) {
    const newer = (known, seen) => (seen.epoch > known.epoch ? ssz.phase0.Checkpoint.clone(plain(seen)) : known);
    this.justified = newer(this.justified, currentJustifiedCheckpoint);
    this.finalized = newer(this.finalized, finalizedCheckpoint);
  }

  /// What a payload for a slot must be built with, upon a tip.
  attributes(parent, slot, feeRecipient, targetGasLimit = 60_000_000) {
    const seq = this.seq(slot);
    const pre = st.processSlots(parent.state, slot, { dontTransferCache: true });
    let paid = pre;
    if (seq >= ForkSeq.gloas) {
      // The parent's requests count before its child's withdrawals are known.
      paid = pre.clone(true);
      applyParentExecutionPayload(paid, parent.requests);
      paid.commit();
    }
    const attributes = {
      timestamp: st.computeTimeAtSlot(this.config, slot, this.genesisTime),
      prevRandao: st.getRandaoMix(pre, pre.epochCtx.epoch),
      suggestedFeeRecipient: feeRecipient,
      withdrawals: st.getExpectedWithdrawals(seq, paid).expectedWithdrawals,
      parentBeaconBlockRoot: parent.root,
    };
    if (seq >= ForkSeq.gloas) Object.assign(attributes, { slotNumber: slot, targetGasLimit });
    return { pre, attributes };
  }

  /// Puts a payload into a signed block upon a tip and runs it as a receiving node would; the tip that it makes.
  block(parent, slot, pre, built, attestations) {
    const seq = this.seq(slot);
    const types = this.config.getForkTypes(slot);
    const proposer = pre.epochCtx.getBeaconProposer(slot);
    const sign = (type, value, domain) =>
      this.keys[proposer].sign(st.computeSigningRoot(type, value, this.config.getDomain(slot, domain, slot))).toBytes();
    const body = types.BeaconBlockBody.defaultValue();
    body.randaoReveal = sign(ssz.Epoch, st.computeEpochAtSlot(slot), params.DOMAIN_RANDAO);
    body.eth1Data = ssz.phase0.Eth1Data.clone(plain(pre.eth1Data));
    body.attestations = attestations.filter((one) => seq >= ForkSeq.electra === !!one.committeeBits);
    body.syncAggregate = this.syncAggregate(pre, parent, slot);
    const commitments = built.blobsBundle?.commitments ?? [];
    const requests = built.executionRequests ?? noRequests(seq);
    if (seq >= ForkSeq.gloas) {
      body.parentExecutionRequests = parent.requests;
      body.signedExecutionPayloadBid = this.bid(parent, slot, pre, built.executionPayload, commitments, requests);
    } else {
      body.executionPayload = built.executionPayload;
      body.blobKzgCommitments = commitments;
      if (seq >= ForkSeq.electra) body.executionRequests = requests;
    }
    const message = { slot, proposerIndex: proposer, parentRoot: parent.root, stateRoot: Buffer.alloc(32), body };
    const run = (signature, verify) =>
      st.stateTransition(parent.state, { message, signature }, {
        ...VERIFIED, verifyStateRoot: verify, verifyProposer: verify, verifySignatures: verify, dontTransferCache: true,
      });
    message.stateRoot = run(UNSIGNED, false).hashTreeRoot();
    const state = run(sign(types.BeaconBlock, message, params.DOMAIN_BEACON_PROPOSER), true);
    const payload = built.executionPayload;
    const tip = {
      slot, root: types.BeaconBlock.hashTreeRoot(message), state, hash: toHex(payload.blockHash), number: payload.blockNumber,
      parent, payload, commitments, requests: seq >= ForkSeq.gloas ? requests : noRequests(ForkSeq.gloas), executionRequests: requests,
    };
    this.payloads.set(toHex(tip.root), tip.hash);
    this.learn(state);
    return tip;
  }

  // Since Gloas a block only promises its payload; ours promise it to themselves.
  bid(parent, slot, pre, payload, commitments, requests) {
    const message = {
      parentBlockHash: fromHex(parent.hash), parentBlockRoot: parent.root, blockHash: payload.blockHash,
      prevRandao: st.getRandaoMix(pre, pre.epochCtx.epoch), feeRecipient: payload.feeRecipient, gasLimit: BigInt(payload.gasLimit),
      builderIndex: params.BUILDER_INDEX_SELF_BUILD, slot, value: 0, executionPayment: 0n, blobKzgCommitments: commitments,
      executionRequestsRoot: ssz.gloas.ExecutionRequests.hashTreeRoot(requests),
    };
    return { message, signature: st.G2_POINT_AT_INFINITY };
  }

  /// Votes of all committees of a tip's slot for it; each committee is one aggregate, since Electra all of them are.
  attestations(tip) {
    const { state, slot, root } = tip;
    const [seq, epoch, context] = [this.seq(slot), st.computeEpochAtSlot(slot), state.epochCtx];
    const start = st.computeStartSlotAtEpoch(epoch);
    const target = { epoch, root: start >= state.slot ? root : st.getBlockRootAtSlot(state, start) };
    const source = ssz.phase0.Checkpoint.clone(plain(state.currentJustifiedCheckpoint));
    const domain = this.config.getDomain(slot, params.DOMAIN_BEACON_ATTESTER, slot);
    const vote = (members, data) => {
      const signing = st.computeSigningRoot(ssz.phase0.AttestationData, data, domain);
      const signature = aggregateSignatures(members.map((index) => this.keys[index].sign(signing))).toBytes();
      return { aggregationBits: BitArray.fromBoolArray(members.map(() => true)), data, signature };
    };
    const committees = [...Array(context.getCommitteeCountPerSlot(epoch)).keys()];
    const members = (index) => [...context.getBeaconCommittee(slot, index)].filter((member) => member < this.keys.length);
    if (seq < ForkSeq.electra) {
      return committees.map((index) => vote(members(index), { slot, index, beaconBlockRoot: root, source, target }));
    }
    const committeeBits = BitArray.fromBitLen(params.MAX_COMMITTEES_PER_SLOT);
    committees.forEach((index) => committeeBits.set(index, true));
    return [{ ...vote(committees.flatMap(members), { slot, index: 0, beaconBlockRoot: root, source, target }), committeeBits }];
  }

  syncAggregate(pre, parent, slot) {
    const domain = this.config.getDomain(slot, params.DOMAIN_SYNC_COMMITTEE, Math.max(slot, 1) - 1);
    const signing = st.computeSigningRoot(ssz.Root, parent.root, domain);
    const members = [...pre.epochCtx.currentSyncCommitteeIndexed.validatorIndices];
    return {
      syncCommitteeBits: BitArray.fromBoolArray(Array(params.SYNC_COMMITTEE_SIZE).fill(true)),
      syncCommitteeSignature: aggregateSignatures(members.map((index) => this.keys[index].sign(signing))).toBytes(),
    };
  }

  /// A deposit of a new validator, as the deposit contract wants it; amount in gwei.
  deposit(index, owner, amount) {
    const secret = st.interopSecretKey(index);
    const withdrawalCredentials = Buffer.concat([Buffer.from([1]), Buffer.alloc(11), fromHex(owner)]);
    const message = { pubkey: secret.toPublicKey().toBytes(), withdrawalCredentials, amount };
    const domain = st.computeDomain(params.DOMAIN_DEPOSIT, this.config.GENESIS_FORK_VERSION, Buffer.alloc(32));
    const signature = secret.sign(st.computeSigningRoot(ssz.phase0.DepositMessage, message, domain)).toBytes();
    const data = { ...message, signature };
    return { ...data, root: ssz.phase0.DepositData.hashTreeRoot(data) };
  }

  publicKey(index) {
    return toHex(st.interopSecretKey(index).toPublicKey().toBytes());
  }

  /// A tip as bytes, and back: what a driver needs to go on after a restart.
  save(tip) {
    return tip.state.serialize();
  }

  load(bytes, slot) {
    return this.cached(sszTypesFor(this.fork(slot)).BeaconState.deserializeToViewDU(bytes));
  }
}
