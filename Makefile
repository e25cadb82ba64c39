# The two commands that matter are `make demo` and `make test`; the others are pieces of them.
.PHONY: demo test check fmt lint bench

CARGO ?= cargo

# Copies a varied world between two servers on loopback, and shows it.
demo:
	$(CARGO) run --locked --package tranship-cli --bin tranship -- demo

# Everything that must pass.
test: fmt lint
	$(CARGO) test --locked --workspace

# The inner loop: types and lints of what changed.
check:
	$(CARGO) clippy --workspace --all-targets

fmt:
	$(CARGO) fmt --all --check

lint:
	$(CARGO) clippy --locked --workspace --all-targets -- --deny warnings

# CPU per GB and per object, memory and requests; release build. ARGS='--case small --runs 3' narrows it.
bench:
	$(CARGO) run --locked --release --package tranship-bench -- $(ARGS)
