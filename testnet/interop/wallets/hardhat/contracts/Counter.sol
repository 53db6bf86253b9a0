// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// Counts, and says so.
contract Counter {
    uint256 public count;

    event Counted(address indexed by, uint256 count);

    error TooMuch(uint256 step);

    function add(uint256 step) external {
        if (step > 100) revert TooMuch(step);
        count += step;
        emit Counted(msg.sender, count);
    }
}
