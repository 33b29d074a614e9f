# One command each; see README.md.

CARGO ?= cargo
NPM ?= npm
ARGS ?=
RUNS ?= 3000
SEED ?= 1
TARGET ?= chunk_decode
SECONDS ?= 1200
DIR ?= promql/tests/scripts
CRATE ?= trivium
TEST ?=

.PHONY: run check unit it test ui ui-test rust-test promqltest model fuzz bench deb clean

# Builds the release and starts it: data below ./data, http://localhost:9090.
run: ui
	$(CARGO) build --release
	./target/release/trivium --storage.tsdb.path=data $(ARGS)

# The daily loop. Lints of one crate, its tests included: make check CRATE=promql
check:
	$(CARGO) clippy -p $(CRATE) --all-targets --locked -- -D warnings

# Tests of one crate, or those whose names contain TEST: make unit CRATE=promql TEST=parse
unit:
	$(CARGO) test -p $(CRATE) --locked -- $(TEST)

# Tests of the whole program, or those whose names contain TEST: make it TEST=reload
it:
	$(CARGO) test -p trivium --test it --locked -- $(TEST)

# A Debian package in target/debian; needs cargo-deb.
deb: ui
	$(CARGO) build --release --locked
	mkdir -p target/man
	./target/release/trivium --help-man > target/man/trivium.1
	$(CARGO) deb --no-build

# Builds the web interface when Node.js is there; the server builds without it and says so.
ui:
	@if command -v $(NPM) >/dev/null 2>&1; then \
	  sh ui/build.sh; \
	else \
	  echo "Node.js was not found: the server is built without its web interface."; \
	fi

# Format, lints, every unit, integration, doc and UI test.
test: ui-test rust-test

ui-test: ui
	@if command -v $(NPM) >/dev/null 2>&1; then \
	  cd ui && $(NPM) run --silent check && $(NPM) run --silent test; \
	else \
	  echo "SKIPPED: UI tests: Node.js is not installed"; \
	fi

rust-test:
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) test --workspace --locked
	$(CARGO) run --quiet -p promql --example promqltest -- promql/tests/scripts

# Runs every *.test file of a folder: make promqltest DIR=folder
promqltest:
	@$(CARGO) run --quiet --release -p promql --example promqltest -- $(DIR)

# The store on a simulated disk that fails and crashes, against a plain map, on all cores: make model RUNS=1000000 SEED=1
model:
	MODEL_RUNS=$(RUNS) MODEL_SEED=$(SEED) $(CARGO) test --quiet --release --locked -p storage --lib model_test -- --nocapture

# One decoder under cargo-fuzz, beginning with the seeds that are kept: make fuzz TARGET=index_read
fuzz:
	mkdir -p fuzz/corpus/$(TARGET)
	RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run $(TARGET) fuzz/corpus/$(TARGET) fuzz/seeds/$(TARGET) -- -max_total_time=$(SECONDS)

bench:
	$(CARGO) bench --workspace

clean:
	$(CARGO) clean
	rm -rf ui/dist ui/node_modules
