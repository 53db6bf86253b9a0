// What test tools ask of a development chain, by viem's test client in its two dialects. Another chain refuses it.
import assert from "node:assert/strict";
import { createPublicClient, createTestClient, createWalletClient, http, keccak256, parseEther, toHex } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { KEY, RPC_URL, STRANGER, has, said } from "./common.mjs";

const ok = said("dev");
const transport = http(RPC_URL);
const reader = createPublicClient({ transport });
const chain = { id: await reader.getChainId(), name: "dev", nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 }, rpcUrls: { default: { http: [RPC_URL] } } };
const account = privateKeyToAccount(KEY);
const wallet = createWalletClient({ chain, transport, account });
// returns slot 0
const READER = "0x60005460005260206000f3";

if (!has("dev")) {
  const test = createTestClient({ mode: "anvil", chain, transport });
  const refused = await test.setBalance({ address: STRANGER, value: 1n }).then(() => false, () => true);
  assert.equal(refused, true, "refused");
  ok("refused where the chain is no development one");
  process.exit();
}

for (const mode of ["anvil", "hardhat"]) {
  const test = createTestClient({ mode, chain, transport });
  const id = await test.snapshot();
  const address = `0x${keccak256(toHex(mode)).slice(-40)}`;
  await test.setBalance({ address, value: parseEther("7") });
  assert.equal(await reader.getBalance({ address }), parseEther("7"), `${mode} balance`);
  await test.setNonce({ address, nonce: 41 });
  assert.equal(await reader.getTransactionCount({ address }), 41, `${mode} nonce`);
  await test.setCode({ address, bytecode: READER });
  assert.equal(await reader.getCode({ address }), READER, `${mode} code`);
  await test.setStorageAt({ address, index: 0, value: toHex(9, { size: 32 }) });
  assert.equal((await reader.call({ to: address })).data, toHex(9, { size: 32 }), `${mode} slot`);
  await test.setBlockGasLimit({ gasLimit: 30_000_000n });
  await test.mine({ blocks: 1 });
  assert.equal((await reader.getBlock()).gasLimit, 30_000_000n, `${mode} gas limit`);
  const at = (await reader.getBlock()).timestamp + 1_000n;
  await test.setNextBlockTimestamp({ timestamp: at });
  await test.setBalance({ address: STRANGER, value: 1n });
  await test.mine({ blocks: 1 });
  assert.equal((await reader.getBlock()).timestamp, at, `${mode} timestamp, though the state was changed meanwhile`);
  await test.setCoinbase({ address: STRANGER });
  await test.setNextBlockBaseFeePerGas({ baseFeePerGas: 12_345n });
  await test.mine({ blocks: 1 });
  const block = await reader.getBlock();
  assert.equal(block.miner, STRANGER, `${mode} coinbase`);
  assert.equal(block.baseFeePerGas, 12_345n, `${mode} base fee`);
  await test.setCoinbase({ address: account.address });
  // a contract, whose key nobody has
  await test.impersonateAccount({ address });
  const someone = createWalletClient({ chain, transport, account: address });
  const hash = await someone.sendTransaction({ to: STRANGER, value: parseEther("1") });
  const receipt = await reader.waitForTransactionReceipt({ hash, pollingInterval: 50 });
  assert.equal(receipt.status, "success", `${mode} impersonated`);
  assert.equal(receipt.from, address, `${mode} sender`);
  await test.stopImpersonatingAccount({ address });
  const refused = await someone.sendTransaction({ to: STRANGER, value: 1n }).then(() => false, () => true);
  assert.equal(refused, true, `${mode} no longer impersonated`);
  await test.setAutomine(false);
  assert.equal(await test.getAutomine(), false, `${mode} automine`);
  const waiting = await wallet.sendTransaction({ to: STRANGER, value: 1n });
  const pending = await reader.getBlock({ blockTag: "pending" });
  assert.equal(pending.transactions[0], waiting, `${mode} pending`);
  assert.equal(pending.hash, null, `${mode} pending hash`);
  await test.dropTransaction({ hash: waiting });
  assert.equal((await reader.getBlock({ blockTag: "pending" })).transactions.length, 0, `${mode} dropped`);
  await test.setAutomine(true);
  await test.revert({ id });
  assert.equal(await reader.getBalance({ address }), 0n, `${mode} reverted`);
  assert.equal(await reader.getCode({ address }), undefined, `${mode} reverted code`);
  ok(mode, "state, terms of blocks, impersonation, revert");
}

// what ganache calls the same
const [id, address] = [await reader.request({ method: "evm_snapshot" }), `0x${"a1".repeat(20)}`];
await reader.request({ method: "evm_setAccountBalance", params: [address, "0x5"] });
await reader.request({ method: "evm_setAccountNonce", params: [address, "0x6"] });
assert.equal(await reader.getBalance({ address }), 5n);
assert.equal(await reader.getTransactionCount({ address }), 6);
await reader.request({ method: "evm_revert", params: [id] });
ok("the names of ganache");
