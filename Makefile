# Starling: every command worth remembering. `make` alone lists them.

CARGO_HOME ?= $(HOME)/.cargo
# Only where the shell does not know cargo yet: another PATH has cargo build the C libraries again.
ifeq ($(shell command -v cargo 2>/dev/null),)
export PATH := $(CARGO_HOME)/bin:$(PATH)
endif

CARGO    ?= cargo
STARLING  = target/debug/starling
TESTKIT   = $(CARGO) run --quiet --locked --package starling-testkit --
CONFORMANCE = $(CARGO) run --quiet --locked --release --package starling-testkit --bin conformance --
SIMULATE  = $(CARGO) run --quiet --locked --release --package starling-testkit -- simulate
SAMPLE    = crates/testkit/samples/rpc-compat
DATADIR  ?= target/run
HTTP_PORT ?= 8545

.DEFAULT_GOAL := help

##@ Use

.PHONY: run
run: build ## import the sample chain and serve it over HTTP (HTTP_PORT=8545, DATADIR=target/run)
	@$(STARLING) init --datadir $(DATADIR) $(SAMPLE)/genesis.json
	@$(STARLING) import --datadir $(DATADIR) $(SAMPLE)/chain.rlp
	@echo
	@echo 'Try, in another shell:'
	@echo "  curl -s localhost:$(HTTP_PORT) -H 'content-type: application/json' -d '{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_blockNumber\",\"params\":[]}'"
	@echo "  $(STARLING) attach --datadir $(DATADIR) eth_getBlockByNumber latest false"
	@echo "  $(STARLING) attach --datadir $(DATADIR)"
	@echo 'Ctrl-C stops it.'
	@echo
	@exec $(STARLING) node --datadir $(DATADIR) --http --http.port $(HTTP_PORT) --http.api eth,net,web3,debug --authrpc.port 0 \
		--addr 127.0.0.1 --port 0 --nodiscover

.PHONY: build
build: ## build the starling binary for work on it (quick build, good speed)
	@$(CARGO) build --locked --package starling

.PHONY: release
release: ## build the starling binary for use: target/dist/starling
	STARLING_COMMIT=$$(git rev-parse HEAD 2>/dev/null) $(CARGO) build --locked --profile dist --package starling

.PHONY: testnet
testnet: build ## a network of four nodes on this machine, two of them sealers (FLAGS="--nodes 6"; docs/TESTNET.md)
	@$(STARLING) testnet up $(FLAGS)
	@echo 'here the command is $(STARLING)'

##@ Check

.PHONY: test
test: ## run all tests
	$(CARGO) test --workspace --locked

.PHONY: check
check: fmt clippy tidy ## formatting, lints and tidy rules: run this before a commit

.PHONY: fmt
fmt: ## check the formatting (cargo fmt mends it)
	$(CARGO) fmt --all --check

.PHONY: clippy
clippy: ## lint, warnings are errors
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

.PHONY: tidy
tidy: ## floors, file sizes, licences, advisories
	$(CARGO) test --locked --package starling-testkit --test tidy --test dependencies

##@ Check against others' data (STARLING_FIXTURES names the folder)

.PHONY: test-chains
test-chains: build ## import every fixture chain, check its head, export and compare bytes
	$(TESTKIT) chains

.PHONY: test-rpc
test-rpc: build ## compare JSON-RPC answers with the recorded ones
	$(TESTKIT) rpc-compat

.PHONY: test-engine
test-engine: build ## drive the Engine API with 601 payloads, and with broken ones
	$(TESTKIT) engine

.PHONY: test-crash
test-crash: build ## 300 kills at random moments of an import
	$(TESTKIT) crash --kills 300

.PHONY: crash-net
crash-net: build ## 100 kills of sealers and followers under load (FLAGS="--kills N --sealers 1|2|3 --seed S")
	$(TESTKIT) crash-net $(FLAGS)

.PHONY: conformance
conformance: ## every case of the official suites (FLAGS="--only CASE", --sample 5%); conformance-NAME runs one archive
	@$(CONFORMANCE) $(FLAGS)

conformance-%:
	@$(CONFORMANCE) $* $(FLAGS)

.PHONY: fixtures
fixtures: ## tell where the archives of those suites are published; DIR=FOLDER fetches them
	@crates/testkit/fixtures $(DIR)

.PHONY: fuzz-execution
fuzz-execution: ## random chains in layers, in plain maps and in geth's evm (STARLING_EVM; FLAGS="--seed S --rounds N")
	$(TESTKIT) fuzz $(FLAGS)

.PHONY: mutations
mutations: ## change one rule at a time in a copy: the conformance runner must notice
	$(TESTKIT) mutate $(FLAGS)

.PHONY: simulate
simulate: ## networks of up to 1,000 nodes in virtual time, minutes each; simulate-NAME runs one (FLAGS="--seed S")
	$(SIMULATE) $(FLAGS)

simulate-%:
	$(SIMULATE) $* $(FLAGS)

##@ Check beside real peers (built from their sources into target/peers; needs Go)

.PHONY: interop-devp2p
interop-devp2p: build ## geth's own suites of discovery and eth, by its devp2p tool
	testnet/interop/install devp2p devp2p-1.17.5 devp2p-chain
	$(TESTKIT) interop suites

.PHONY: interop-sync
interop-sync: build ## 3,000 blocks from geth and to geth (eth/70, eth/68), chains between two Starlings
	testnet/interop/install geth geth-1.13.15
	$(TESTKIT) interop sync

.PHONY: interop-cells
interop-cells: build ## blobs as cells by eth/72, from geth, to geth, and in part
	testnet/interop/install geth
	$(TESTKIT) interop cells

.PHONY: interop-wallets
interop-wallets: build ## viem, ethers, web3.js, web3.py, cast, forge, hardhat on a development node and on a testnet (FLAGS="viem cast")
	testnet/interop/wallets/check $(STARLING) $(FLAGS)

.PHONY: interop-others
interop-others: build ## JavaScript peers and discv5-cli, which share no code with geth or with us
	testnet/interop/install discv5-cli js
	$(TESTKIT) interop others

.PHONY: interop-mixed
interop-mixed: build ## two geth 1.13.15 and two Starlings seal 500 blocks in turn; either kind dies and comes back
	testnet/interop/install geth-1.13.15
	$(TESTKIT) interop mixed $(FLAGS)

.PHONY: interop-flock
interop-flock: build ## four nodes, three of them told only one bootnode's record
	$(TESTKIT) interop flock

.PHONY: testnet-20
testnet-20: build ## twenty nodes on this machine: how soon each sees each block, and the CPU it costs (FLAGS="--nodes N --blocks N")
	$(TESTKIT) interop seen $(FLAGS)

.PHONY: interop-hostile
interop-hostile: build ## strangers and liars of every kind against a node that is syncing
	$(TESTKIT) interop hostile

##@ Check under a consensus client (Lodestar's state transition and Engine client; needs Node.js)

.PHONY: interop-pos
interop-pos: build ## Deneb, Electra, Fulu to finality, with blobs, withdrawals and requests (FLAGS="--slots 80")
	testnet/pos/setup
	node testnet/pos/interop.mjs --starling $(STARLING) $(FLAGS)

.PHONY: interop-pos-gloas
interop-pos-gloas: build ## the same into Gloas (Amsterdam), with the requests of builders
	testnet/pos/setup
	node testnet/pos/interop.mjs --starling $(STARLING) --until gloas $(FLAGS)

.PHONY: interop-pos-geth
interop-pos-geth: build ## with geth, into Gloas: Starling builds and geth follows, geth builds and Starling follows
	testnet/interop/install geth
	testnet/pos/setup
	node testnet/pos/interop.mjs --starling $(STARLING) --geth target/peers/geth --until gloas $(FLAGS)
	node testnet/pos/interop.mjs --starling $(STARLING) --geth target/peers/geth --until gloas --builder geth $(FLAGS)

.PHONY: interop-lodestar
interop-lodestar: build ## a whole Lodestar 1.5.1, Bellatrix to Capella to finality (needs a C++ compiler, Node.js 20)
	testnet/pos/setup
	cd testnet/pos/lodestar && { [ -x node_modules/.bin/lodestar ] || npm install --no-save --silent --no-audit --no-fund; }
	node testnet/pos/lodestar/run.mjs --starling $(STARLING) $(FLAGS)

.PHONY: soak
soak: build ## 30 minutes of users, blobs, reorgs, kills and nonsense from the consensus client (FLAGS="--minutes 5 --seed 7")
	testnet/pos/setup
	node testnet/pos/soak.mjs --starling $(STARLING) $(FLAGS)

##@ Measure

.PHONY: bench-import
bench-import: bench-binaries ## import speed beside geth, interleaved (FLAGS=--help says more)
	testnet/interop/install geth
	PATH="$(CURDIR)/target/peers:$$PATH" target/dist/testkit bench-import $(FLAGS)

.PHONY: bench-restart
bench-restart: bench-binaries ## time to answer after SIGKILL, and memory against --memory
	target/dist/testkit bench-restart $(FLAGS)

.PHONY: bench-p2p
bench-p2p: bench-binaries ## frames beside their ciphers, serving and syncing beside geth
	testnet/interop/install geth
	@$(CARGO) run --quiet --locked --profile dist --package starling-devp2p --example bench_frames
	target/dist/testkit bench-p2p

.PHONY: bench-engine
bench-engine: bench-binaries ## newPayload beside geth, block by block (FLAGS="--chains transfer,mixed --blocks 60")
	testnet/interop/install geth
	target/dist/testkit bench-engine $(FLAGS)

.PHONY: bench-build
bench-build: bench-binaries ## blocks of 60 Mgas out of 10,000 pending transactions, beside geth
	testnet/interop/install geth
	target/dist/testkit bench-build

.PHONY: bench-pool
bench-pool: bench-binaries ## insertions a CPU-second, and how soon the pool sees a new head, beside geth
	testnet/interop/install geth
	target/dist/testkit bench-pool

.PHONY: bench-binaries
bench-binaries:
	@$(CARGO) build --locked --profile dist --package starling --package starling-testkit

##@ Other

.PHONY: help
help: ## list the targets
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@/ { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z0-9-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
