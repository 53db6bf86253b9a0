// Writes the genesis of an execution chain that a consensus client drives from its first block.
//
//   node genesis.mjs FORK [LATERFORK=UNIXTIME…] > genesis.json
//
// FORK (shanghai, cancun, prague, osaka, amsterdam) is in force from block 0; the others begin at their time. The funded
// account is the first of the well-known mnemonic `test test … junk`.

const FORKS = ['shanghai', 'cancun', 'prague', 'osaka', 'amsterdam']
const BLOBS = {
  cancun: { target: 3, max: 6, baseFeeUpdateFraction: 3338477 },
  prague: { target: 6, max: 9, baseFeeUpdateFraction: 5007716 },
}
BLOBS.osaka = BLOBS.amsterdam = BLOBS.prague

const RICH = '0x52b7d2dcc80cd2e4000000'
const FUNDED = '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266'
export const DEPOSIT_CONTRACT = '0x4242424242424242424242424242424242424242'
const DEPOSIT_EVENT = '649bbc62d0e31342afea4e5cd82d4049e7e1ee912fc0889aa790803be39038c5'

// The code of the system contracts, as EIP-4788, EIP-2935, EIP-7002 and EIP-7251 give it. The deposit contract is one of
// our own, which logs its call data as a deposit: the tree of the real one is not what is tested here.
const CONTRACTS = {
  '0x000F3df6D732807Ef1319fB7B8bB8522d0Beac02': '0x3373fffffffffffffffffffffffffffffffffffffffe14604d57602036146024575f5ffd5b5f35801560495762001fff810690815414603c575f5ffd5b62001fff01545f5260205ff35b5f5ffd5b62001fff42064281555f359062001fff015500',
  '0x0000F90827F1C53a10cb7A02335B175320002935': '0x3373fffffffffffffffffffffffffffffffffffffffe14604657602036036042575f35600143038111604257611fff81430311604257611fff9006545f5260205ff35b5f5ffd5b5f35611fff60014303065500',
  '0x00000961Ef480Eb55e80D19ad83579A64c007002': '0x3373fffffffffffffffffffffffffffffffffffffffe1460cb5760115f54807fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff146101f457600182026001905f5b5f82111560685781019083028483029004916001019190604d565b909390049250505036603814608857366101f457346101f4575f5260205ff35b34106101f457600154600101600155600354806003026004013381556001015f35815560010160203590553360601b5f5260385f601437604c5fa0600101600355005b6003546002548082038060101160df575060105b5f5b8181146101835782810160030260040181604c02815460601b8152601401816001015481526020019060020154807fffffffffffffffffffffffffffffffff00000000000000000000000000000000168252906010019060401c908160381c81600701538160301c81600601538160281c81600501538160201c81600401538160181c81600301538160101c81600201538160081c81600101535360010160e1565b910180921461019557906002556101a0565b90505f6002555f6003555b5f54807fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff14156101cd57505f5b6001546002828201116101e25750505f6101e8565b01600290035b5f555f600155604c025ff35b5f5ffd',
  '0x0000BBdDc7CE488642fb579F8B00f3a590007251': '0x3373fffffffffffffffffffffffffffffffffffffffe1460d35760115f54807fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff1461019a57600182026001905f5b5f82111560685781019083028483029004916001019190604d565b9093900492505050366060146088573661019a573461019a575f5260205ff35b341061019a57600154600101600155600354806004026004013381556001015f358155600101602035815560010160403590553360601b5f5260605f60143760745fa0600101600355005b6003546002548082038060021160e7575060025b5f5b8181146101295782810160040260040181607402815460601b815260140181600101548152602001816002015481526020019060030154905260010160e9565b910180921461013b5790600255610146565b90505f6002555f6003555b5f54807fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff141561017357505f5b6001546001828201116101885750505f61018e565b01600190035b5f555f6001556074025ff35b5f5ffd',
  [DEPOSIT_CONTRACT]: `0x365f5f377f${DEPOSIT_EVENT}365fa100`,
}

function genesis(first, later) {
  const blocks = ['homestead', 'eip150', 'eip155', 'eip158', 'byzantium', 'constantinople', 'petersburg', 'istanbul', 'berlin', 'london', 'mergeNetsplit']
  const config = { chainId: 32382, terminalTotalDifficulty: 0, terminalTotalDifficultyPassed: true, depositContractAddress: DEPOSIT_CONTRACT }
  for (const block of blocks) config[`${block}Block`] = 0
  for (const fork of FORKS.slice(0, FORKS.indexOf(first) + 1)) config[`${fork}Time`] = 0
  for (const [fork, time] of later) config[`${fork}Time`] = Number(time)
  const schedule = Object.entries(BLOBS).filter(([fork]) => config[`${fork}Time`] !== undefined)
  if (schedule.length) config.blobSchedule = Object.fromEntries(schedule)

  const alloc = { [FUNDED]: { balance: RICH } }
  for (const [address, code] of Object.entries(CONTRACTS)) alloc[address] = { balance: '0x0', nonce: '0x1', code }
  return {
    config, alloc,
    nonce: '0x0', timestamp: '0x0', extraData: '0x', gasLimit: '0x3938700', difficulty: '0x0',
    mixHash: `0x${'00'.repeat(32)}`, coinbase: `0x${'00'.repeat(20)}`, baseFeePerGas: '0x3b9aca00',
    ...(config.cancunTime === 0 && { excessBlobGas: '0x0', blobGasUsed: '0x0' }),
  }
}

if (process.argv[1] === import.meta.filename) {
  const [first, ...later] = process.argv.slice(2)
  if (!FORKS.includes(first)) throw new Error(`which fork? one of ${FORKS.join(', ')}`)
  console.log(JSON.stringify(genesis(first, later.map((pair) => pair.split('='))), null, 1))
}
