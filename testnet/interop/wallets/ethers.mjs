// ethers: a transfer, a contract, events by polling and over WebSocket.
import assert from "node:assert/strict";
import { ContractFactory, JsonRpcProvider, Wallet, WebSocketProvider, parseEther } from "ethers";
import { KEY, RPC_URL, STRANGER, WS_URL, abi, bytecode, said, until } from "./common.mjs";

const ok = said("ethers");
const provider = new JsonRpcProvider(RPC_URL, undefined, { polling: true, pollingInterval: 200, cacheTimeout: -1 });
const socket = new WebSocketProvider(WS_URL);
const wallet = new Wallet(KEY, provider);

let receipt = await (await wallet.sendTransaction({ to: STRANGER, value: parseEther("0.01") })).wait();
assert.equal(receipt.status, 1);
const block = await provider.getBlock(receipt.blockNumber, true);
assert(block.prefetchedTransactions.some((tx) => tx.hash === receipt.hash));
ok("transfer, and its block");

const contract = await (await new ContractFactory(abi, bytecode, wallet).deploy()).waitForDeployment();
ok("deploy", contract.target);
const polled = [], pushed = [], heads = [];
await contract.on("Counted", (by, count) => polled.push(count));
await contract.connect(socket).on("Counted", (by, count) => pushed.push(count));
await socket.on("block", (number) => heads.push(number));
receipt = await (await contract.add(43)).wait();
assert.equal(await contract.count(), 43n);
assert.equal((await contract.queryFilter("Counted", receipt.blockNumber)).length, 1);
ok("write, read, logs");
await until("the event came by polling", () => polled.includes(43n));
await until("the event came by subscription", () => pushed.includes(43n));
await until("heads came by subscription", () => heads.length > 0);
ok("events by polling and by subscription");
await assert.rejects(contract.add.staticCall(101), (error) => error.revert?.name === "TooMuch");
ok("revert with its reason");
process.exit(0);
