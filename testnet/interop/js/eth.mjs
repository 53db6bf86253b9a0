// A peer of @ethereumjs/devp2p: discv4, RLPx, eth/68, against one enode on loopback.
//
//   node eth.mjs ENODE RPC_URL GENESIS.json
//
// Prints a line for each thing that worked; ends with 0 when all did.
import fs from 'node:fs'
import { createCommonFromGethGenesis } from '@ethereumjs/common'
import { DPT, ETH, EthMessageCodes, RLPx } from '@ethereumjs/devp2p'
import { bigIntToBytes, bytesToHex, hexToBytes, intToBytes, randomBytes } from '@ethereumjs/util'

const TIMEOUT_MS = 15_000
const REQUEST_ID = 7
const HEADERS = 3

const [enode, rpcUrl, genesisFile] = process.argv.slice(2)
const target = parseEnode(enode)
const genesis = await block('0x0')
const head = await block('latest')
const key = randomBytes(32)

setTimeout(() => fail('nothing more came in time'), TIMEOUT_MS)
await discv4()
await eth()
process.exit(0)

// PING and PONG both ways, then FINDNODE and NEIGHBORS.
async function discv4() {
  const table = new DPT(key, {
    endpoint: { address: '127.0.0.1', udpPort: null, tcpPort: null },
    shouldGetDnsPeers: false,
    timeout: 5_000,
  })
  table.events.on('error', (error) => console.log('discv4:', error.message))
  table.bind(0, '127.0.0.1')
  const peer = await table.addPeer(target)
  console.log('discv4: PONG from', bytesToHex(peer.id).slice(0, 18))
  // The node proves our endpoint first; only then it answers FINDNODE.
  await new Promise((resolve) => setTimeout(resolve, 500))
  const neighbors = new Promise((resolve) => table['_server'].events.once('peers', resolve))
  table['_server'].findneighbours(peer, randomBytes(64))
  console.log('discv4: NEIGHBORS with', (await neighbors).length, 'nodes')
  table.events.removeAllListeners('error')
  table.events.on('error', () => {}) // packets that were still under way
  table.destroy()
}

// Hello, Status, and three headers that must be those of JSON-RPC.
async function eth() {
  const common = createCommonFromGethGenesis(JSON.parse(fs.readFileSync(genesisFile)), {
    chain: 'interop',
    genesisHash: hexToBytes(genesis.hash),
    mergeForkIdPostMerge: true,
  })
  common.setHardforkBy({ blockNumber: BigInt(head.number), timestamp: BigInt(head.timestamp) })
  const host = new RLPx(key, {
    capabilities: [ETH.eth68],
    clientId: new TextEncoder().encode('starling-interop-js'),
    common,
    listenPort: null,
    maxPeers: 1,
  })
  host.events.on('peer:error', (_, error) => fail(`RLPx: ${error.message}`))
  host.events.on('peer:removed', (_, reason) => fail(`RLPx: disconnected, reason ${reason}`))
  const joined = new Promise((resolve) => host.events.once('peer:added', resolve))
  await host.connect(target)
  const peer = await joined
  const hello = peer.getHelloMessage()
  console.log('RLPx: Hello of', hello.clientId, 'with', hello.capabilities.map((c) => `${c.name}/${c.version}`).join(' '))
  const protocol = peer.getProtocols().find((one) => one instanceof ETH)
  if (!protocol) fail('RLPx: eth/68 was not agreed on')

  const status = new Promise((resolve) => protocol.events.once('status', resolve))
  protocol.sendStatus({
    // Since the merge difficulties are zero, and only genesis has added to the sum.
    td: bigIntToBytes(BigInt(head.totalDifficulty ?? genesis.difficulty)),
    bestHash: hexToBytes(head.hash),
    genesisHash: hexToBytes(genesis.hash),
    latestBlock: bigIntToBytes(BigInt(head.number)),
  })
  console.log('eth/68: Status with head', bytesToHex((await status).bestHash).slice(0, 18))

  const answer = new Promise((resolve) =>
    protocol.events.on('message', (code, payload) => code === EthMessageCodes.BLOCK_HEADERS && resolve(payload)),
  )
  protocol.sendMessage(EthMessageCodes.GET_BLOCK_HEADERS, [
    intToBytes(REQUEST_ID),
    [intToBytes(1), intToBytes(HEADERS), new Uint8Array(), new Uint8Array()],
  ])
  const [id, headers] = await answer
  if (BigInt(bytesToHex(id)) !== BigInt(REQUEST_ID)) fail('eth/68: another request was answered')
  if (headers.length !== HEADERS) fail(`eth/68: ${headers.length} headers instead of ${HEADERS}`)
  for (const [index, header] of headers.entries()) {
    const expected = await block(`0x${(index + 1).toString(16)}`)
    if (bytesToHex(header[3]) !== expected.stateRoot) fail(`eth/68: header ${index + 1} has another state root`)
  }
  console.log('eth/68:', headers.length, 'headers as JSON-RPC has them')
}

function parseEnode(url) {
  const match = url?.match(/^enode:\/\/([0-9a-f]{128})@([^:]+):(\d+)(?:\?discport=(\d+))?$/)
  if (!match) fail(`usage: node eth.mjs ENODE RPC_URL GENESIS.json; not an enode: ${url}`)
  const [, id, address, tcpPort, udpPort] = match
  return { id: hexToBytes(`0x${id}`), address, tcpPort: Number(tcpPort), udpPort: Number(udpPort ?? tcpPort) }
}

async function block(tag) {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_getBlockByNumber', params: [tag, false] })
  const answer = await fetch(rpcUrl, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  return (await answer.json()).result
}

function fail(message) {
  console.error(message)
  process.exit(1)
}
