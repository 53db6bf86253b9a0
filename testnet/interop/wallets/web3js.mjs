// web3.js: a transfer, a contract, events over WebSocket.
import assert from "node:assert/strict";
import { Web3 } from "web3";
import { KEY, RPC_URL, STRANGER, WS_URL, abi, bytecode, said, until } from "./common.mjs";

const ok = said("web3.js");
const web3 = new Web3(RPC_URL), socket = new Web3(WS_URL);
const { address: from } = web3.eth.accounts.wallet.add(KEY)[0];

const sent = await web3.eth.sendTransaction({ from, to: STRANGER, value: web3.utils.toWei("0.01", "ether") });
assert.equal(sent.status, 1n);
ok("transfer");
const contract = await new web3.eth.Contract(abi).deploy({ data: bytecode }).send({ from });
ok("deploy", contract.options.address);
const events = [], heads = [];
const counted = await new socket.eth.Contract(abi, contract.options.address).events.Counted();
counted.on("data", (event) => events.push(event.returnValues.count));
(await socket.eth.subscribe("newHeads")).on("data", (head) => heads.push(head.number));
await contract.methods.add(44).send({ from });
assert.equal(await contract.methods.count().call(), 44n);
ok("write and read");
const past = await contract.getPastEvents("Counted", { fromBlock: 0 });
assert.equal(past.length, 1);
await until("the event came by subscription", () => events.includes(44n));
await until("heads came by subscription", () => heads.length > 0);
ok("events, past and by subscription");
process.exit(0);
