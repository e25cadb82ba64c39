# The two commands that matter are `make demo` and `make test`; the others are pieces of them.
.PHONY: demo test check fmt lint bench venv

CARGO ?= cargo
PYTHON ?= python3
VENV := .venv
# The requirements that the environment was made from. The tests compare it with those of the tree.
STAMP := $(VENV)/made-from

# Copies a varied world between two servers on loopback, and shows it.
demo:
	$(CARGO) run --locked --package tranship-cli --bin tranship -- demo

# Everything that must pass.
test: fmt lint $(STAMP)
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

# The second S3 server of the tests, in a Python environment of its own; made anew when its requirements change.
venv: $(STAMP)

$(STAMP): tests/requirements.txt
	@rm -rf $(VENV)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
		|| { echo "The tests need Python 3.10 or newer; name it with PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
		|| { echo "Cannot make $(VENV): the tests need Python's venv module (on Debian: python3-venv)." >&2; exit 1; }
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $< \
		|| { echo "Cannot install $< into $(VENV): the first run needs Python's package index." >&2; exit 1; }
	@cp $< $@
