// A peer of @chainsafe/discv5: session, PING, FINDNODE, against one record on loopback.
//
//   node discv5.mjs ENR
//
// Prints a line for each thing that worked; ends with 0 when all did.
import dgram from 'node:dgram'
import { Discv5 } from '@chainsafe/discv5'
import { ENR, SignableENR } from '@chainsafe/enr'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { multiaddr } from '@multiformats/multiaddr'

const TIMEOUT_MS = 15_000

const target = ENR.decodeTxt(process.argv[2])
setTimeout(() => fail('nothing more came in time'), TIMEOUT_MS)

const port = await freePort()
const privateKey = await generateKeyPair('secp256k1')
const enr = SignableENR.createFromPrivateKey(privateKey)
enr.ip = '127.0.0.1'
enr.udp = port
const node = Discv5.create({
  enr,
  privateKey,
  bindAddrs: { ip4: multiaddr(`/ip4/127.0.0.1/udp/${port}`) },
  config: { enrUpdate: false, requestTimeout: 5_000 },
})
await node.start()
node.addEnr(target)

const pong = await node.sendPing(target)
if (!pong) fail('no PONG')
console.log('discv5: PONG, the node sees us at port', pong.addr?.port ?? pong.recipientPort ?? pong.port)
const own = await node.sendFindNode(target, [0])
if (own.length !== 1 || own[0].nodeId !== target.nodeId) fail('FINDNODE [0] did not answer with its own record')
console.log('discv5: FINDNODE [0] answers with the own record, seq', own[0].seq)
const others = await node.sendFindNode(target, [256, 255, 254])
console.log('discv5: FINDNODE [256, 255, 254] answers with', others.length, 'records')
process.exit(0)

// The library does not say which port it took, so it is given one that was free a moment ago.
function freePort() {
  return new Promise((resolve) => {
    const socket = dgram.createSocket('udp4')
    socket.bind(0, '127.0.0.1', () => {
      const { port } = socket.address()
      socket.close(() => resolve(port))
    })
  })
}

function fail(message) {
  console.error(message)
  process.exit(1)
}
