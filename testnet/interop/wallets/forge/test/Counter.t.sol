// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Counter} from "../src/Counter.sol";

/// Runs on a fork of the node's chain: state is read over JSON-RPC.
contract CounterTest {
    Counter counter = new Counter();

    function testAdds() external {
        counter.add(3);
        counter.add(4);
        require(counter.count() == 7, "count");
    }

    function testRefuses() external {
        try counter.add(101) {
            revert("taken");
        } catch (bytes memory why) {
            require(bytes4(why) == Counter.TooMuch.selector, "reason");
        }
    }

    function testSeesTheForkedChain() external view {
        require(block.number > 0, "number");
        require(0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266.balance > 0, "balance");
    }
}
