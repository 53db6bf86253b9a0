// viem: transactions of every type, a contract, logs by question, by filter and over WebSocket.
import assert from "node:assert/strict";
import { createPublicClient, createWalletClient, http, parseEther, parseGwei, webSocket } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { KEY, RPC_URL, STRANGER, WS_URL, abi, bytecode, has, said, sleep, until } from "./common.mjs";

const ok = said("viem");
const reader = createPublicClient({ transport: http(RPC_URL), pollingInterval: 200 });
const socket = createPublicClient({ transport: webSocket(WS_URL) });
const id = await reader.getChainId();
const chain = { id, name: "local", nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 }, rpcUrls: { default: { http: [RPC_URL] } } };
const account = privateKeyToAccount(KEY);
const wallet = createWalletClient({ account, chain, transport: http(RPC_URL) });
const mined = async (sent) => {
  const receipt = await reader.waitForTransactionReceipt({ hash: await sent, timeout: 60_000 });
  assert.equal(receipt.status, "success");
  return receipt;
};

const heads = [], events = [], pending = [];
const stops = [
  socket.watchBlocks({ onBlock: (block) => heads.push(block.number) }),
  socket.watchPendingTransactions({ onTransactions: (hashes) => pending.push(...hashes) }),
];
// viem does not say when a subscription is there
await sleep(500);

const before = await reader.getBalance({ address: STRANGER });
let receipt = await mined(wallet.sendTransaction({ to: STRANGER, value: parseEther("0.01") }));
assert.equal((await reader.getBalance({ address: STRANGER })) - before, parseEther("0.01"));
await until("the transaction was announced", () => pending.includes(receipt.transactionHash));
ok("transfer", receipt.type);
const accessList = [{ address: STRANGER, storageKeys: [] }];
for (const kind of [{ type: "legacy" }, { type: "eip2930", accessList }]) {
  receipt = await mined(wallet.sendTransaction({ to: STRANGER, value: 1n, gasPrice: parseGwei("3"), ...kind }));
  assert.equal(receipt.type, kind.type);
  ok("transfer", receipt.type);
}

receipt = await mined(wallet.deployContract({ abi, bytecode }));
const contract = { address: receipt.contractAddress, abi };
ok("deploy", contract.address);
stops.push(socket.watchContractEvent({ ...contract, eventName: "Counted", onLogs: (logs) => events.push(...logs) }));
const filter = await reader.createContractEventFilter({ ...contract, eventName: "Counted" });
const step = { ...contract, functionName: "add", args: [42n] };
await sleep(500);
const gas = await reader.estimateContractGas({ ...step, account });
receipt = await mined(wallet.writeContract(step));
assert(receipt.gasUsed <= gas);
assert.equal(await reader.readContract({ ...contract, functionName: "count" }), 42n);
ok("write and read", `gas ${receipt.gasUsed} of an estimated ${gas}`);
await assert.rejects(reader.simulateContract({ ...step, args: [101n], account }), /TooMuch/);
ok("revert with its reason");

const logs = await reader.getContractEvents({ ...contract, eventName: "Counted", fromBlock: receipt.blockNumber });
assert.equal(logs[0].args.count, 42n);
assert.equal((await reader.getFilterChanges({ filter })).length, 1);
assert.equal((await reader.getFilterChanges({ filter })).length, 0);
ok("logs by question and by filter");
await until("the log came by subscription", () => events.length === 1);
await until("heads came by subscription", () => heads.includes(receipt.blockNumber));
ok("heads, logs and pending transactions by subscription");

assert.equal((await reader.getProof({ ...contract, storageKeys: ["0x" + "0".repeat(64)] })).storageProof[0].value, 42n);
assert((await reader.getFeeHistory({ blockCount: 4, rewardPercentiles: [25, 75] })).baseFeePerGas.length > 1);
ok("proof and fee history");
if (has("simulate")) {
  const [block] = await reader.simulateBlocks({ blocks: [{ calls: [{ account, to: STRANGER, value: 1n }] }] });
  assert.equal(block.calls[0].status, "success");
  ok("eth_simulateV1");
}
if (has("7702")) {
  let authorization = await wallet.signAuthorization({ contractAddress: contract.address, executor: "self" });
  receipt = await mined(wallet.sendTransaction({ to: account.address, authorizationList: [authorization] , data: "0x06661abd" }));
  assert.equal(receipt.type, "eip7702");
  assert.equal(await reader.getCode({ address: account.address }), "0xef0100" + contract.address.slice(2).toLowerCase());
  authorization = await wallet.signAuthorization({ contractAddress: "0x" + "0".repeat(40), executor: "self" });
  await mined(wallet.sendTransaction({ to: account.address, authorizationList: [authorization] }));
  assert.equal(await reader.getCode({ address: account.address }), undefined);
  ok("delegation, set and cleared", receipt.type);
}
const all = await reader.getBalance({ address: account.address });
await assert.rejects(wallet.sendTransaction({ to: STRANGER, value: all + 1n, gas: 21_000n }), /insufficient funds/);
ok("an overdraft is refused");
stops.forEach((stop) => stop());
process.exit(0);
