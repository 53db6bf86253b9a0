// A hardhat project's script on the node: deploys, writes, reads an event, sees a revert.
import assert from "node:assert/strict";
import { network } from "hardhat";

const { viem } = await network.connect("starling");
const reader = await viem.getPublicClient();
const counter = await viem.deployContract("Counter");
const hash = await counter.write.add([46n]);
const receipt = await reader.waitForTransactionReceipt({ hash });
assert.equal(receipt.status, "success");
assert.equal(await counter.read.count(), 46n);
const events = await counter.getEvents.Counted({}, { fromBlock: receipt.blockNumber });
assert.equal(events[0].args.count, 46n);
await assert.rejects(counter.simulate.add([101n]), /TooMuch/);
console.log("ok hardhat deploy, write, event, revert", counter.address);
process.exit(0);
