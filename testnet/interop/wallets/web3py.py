"""web3.py: a transfer, a contract, logs by question and by filter."""

import json
import os
import pathlib

from web3 import Web3
from web3.middleware import ExtraDataToPOAMiddleware
from web3.exceptions import ContractCustomError, ContractLogicError

web3 = Web3(Web3.HTTPProvider(os.environ["RPC_URL"], request_kwargs={"timeout": 30}))
# Signers of Clique put their seals where other chains have 32 bytes.
web3.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)
account = web3.eth.account.from_key(os.environ["KEY"])
built = json.loads(pathlib.Path(__file__).with_name("contract.json").read_text())
STRANGER = Web3.to_checksum_address("0x00000000000000000000000000000000000000ff")


def ok(*what):
    print("ok web3.py", *what)


def mined(transaction):
    nonce = web3.eth.get_transaction_count(account.address, "pending")
    filled = {"from": account.address, "nonce": nonce, "chainId": web3.eth.chain_id, **transaction}
    tip = web3.eth.max_priority_fee
    fees = {"maxPriorityFeePerGas": tip, "maxFeePerGas": tip + 2 * web3.eth.get_block("latest")["baseFeePerGas"]}
    filled = {**fees, **filled}
    filled.setdefault("gas", web3.eth.estimate_gas(filled))
    raw = account.sign_transaction(filled).raw_transaction
    receipt = web3.eth.wait_for_transaction_receipt(web3.eth.send_raw_transaction(raw), timeout=60, poll_latency=0.2)
    assert receipt.status == 1
    return receipt


before = web3.eth.get_balance(STRANGER)
mined({"to": STRANGER, "value": 10**16})
assert web3.eth.get_balance(STRANGER) - before == 10**16
ok("transfer", web3.client_version)
receipt = mined({"data": built["bytecode"]})
contract = web3.eth.contract(address=receipt.contractAddress, abi=built["abi"])
ok("deploy", contract.address)
wanted = web3.eth.filter({"address": contract.address})
heads = web3.eth.filter("latest")
receipt = mined({"to": contract.address, "data": contract.encode_abi("add", [45])})
assert contract.functions.count().call() == 45
assert contract.events.Counted().process_receipt(receipt)[0].args.count == 45
assert len(web3.eth.get_logs({"address": contract.address, "fromBlock": receipt.blockNumber})) == 1
assert len(wanted.get_new_entries()) == 1 and len(heads.get_new_entries()) >= 1
ok("write, read, logs by question and by filter")
try:
    contract.functions.add(101).call({"from": account.address})
    raise AssertionError("taken")
except (ContractCustomError, ContractLogicError):
    ok("revert")
