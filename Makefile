# The two commands that matter are `make demo` and `make test`; the others are pieces of them.
.PHONY: demo test compiled checked awaited computed check fmt lint template fleet faults links model simulate fuzz bench peers real venv

CARGO ?= cargo
PYTHON ?= python3
# The services that the tests run against, the SAM command, a linter: each pins other versions of the same packages.
VENV := .venv
THIRD_VENV := .venv-third
SAM_VENV := .venv-sam
CHECKOV_VENV := .venv-checkov
BENCH_VENV := .venv-bench
# The requirements that the environment was made from. The tests compare it with those of the tree.
STAMP := $(VENV)/made-from
THIRD_STAMP := $(THIRD_VENV)/made-from
SAM_STAMP := $(SAM_VENV)/made-from
CHECKOV_STAMP := $(CHECKOV_VENV)/made-from
BENCH_STAMP := $(BENCH_VENV)/made-from

CHECKOV := $(CHECKOV_VENV)/bin/checkov --config-file .checkov.yaml --framework cloudformation --skip-download --compact --quiet

# Copies a varied world between two servers on loopback, and shows it. No package is named: so the demo and the tests
# have the same features of what they share, and compile it once.
demo:
	$(CARGO) run --locked --bin tranship -- demo

# All tests. Many of them wait for answers, time limits and other processes: more of them at once than there are processors.
TEST_THREADS ?= 4
test: fmt
	$(MAKE) --jobs 3 compiled checked
	$(MAKE) --jobs 2 awaited computed
	$(VENV)/bin/python tests/template/seen.py target/cloud/used-actions.json

# What comes before the tests: the one half keeps the processors busy, the other waits for the network.
compiled:
	$(CARGO) test --locked --workspace --no-run --quiet

checked: template fleet venv
	$(PYTHON) -m unittest discover --start-directory tests/bridge
	$(PYTHON) -m unittest discover --start-directory tests/models

# Where time is virtual a test only computes: it takes what the others leave while they wait.
VIRTUAL := simulation:: port_fault::
awaited:
	RUST_TEST_THREADS=$(TEST_THREADS) $(CARGO) test --locked --workspace -- $(addprefix --skip ,$(VIRTUAL))

computed:
	nice -n 19 $(CARGO) test --locked --workspace --test pipeline -- --test-threads 1 $(VIRTUAL)

# These build once, and do not prepare for a next time.
demo test compiled awaited computed lint: export CARGO_INCREMENTAL := 0

# The inner loop: types and lints of what changed.
check:
	$(CARGO) clippy --workspace --all-targets

fmt:
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml --check

lint:
	$(CARGO) clippy --locked --workspace --all-targets -- --deny warnings

# Each fault at each call of each scenario, over HTTP and at the memory ports, where the tests try one in
# some. Takes an hour.
faults:
	$(CARGO) test --locked --workspace --test pipeline -- --ignored --nocapture every_fault

# The fleet over an emulated long link, at a limit, and under kills, stops and cuts, each process in a network of
# its own: takes root and a quarter of an hour. TRANSHIP_GIB=40 and TRANSHIP_SEED=2 copy more, and torment otherwise.
links: venv
	$(CARGO) test --locked --workspace --test cloud -- --ignored --nocapture --test-threads 1 links::

# CPU per GB and per object, memory and requests, beside the peers that are installed; release build.
# ARGS='--case small --runs 3' narrows it.
bench:
	$(CARGO) run --locked --release --package tranship-bench -- $(ARGS)

# What `make bench` compares with, as far as it can be installed without root. s3sync takes a quarter of an hour or more.
peers: target/peers/bin/s3sync $(BENCH_STAMP)
	@command -v rclone > /dev/null \
		|| echo "rclone is missing: install it with the system's package manager, e.g. apt-get install rclone"

S3SYNC_VERSION := 1.62.4
target/peers/bin/s3sync:
	CARGO_TARGET_DIR=target/peers/build $(CARGO) install s3sync --version $(S3SYNC_VERSION) --locked --root target/peers \
		--no-default-features --features version

# The completion protocol's model with two and three parts and three faults, of every three kinds. KINDS=work,foreign makes
# only those of these 56 searches that have both kinds of fault: work, crash, delivery, answer, source, foreign, expiry
# and clock.
model:
	TRANSHIP_KINDS=$(KINDS) $(CARGO) test --locked --workspace --test model -- --ignored --nocapture --test-threads 1

# A long search of the simulation: SEEDS=5000000 says how many worlds, FIRST=20000 from which number on.
SEEDS ?= 1000000
FIRST ?= 20000
simulate:
	TRANSHIP_SEEDS=$(SEEDS) TRANSHIP_FIRST=$(FIRST) $(CARGO) test --locked --workspace --test pipeline -- \
		--nocapture simulation::every_promise_holds_in_every_world

# Feeds each parser what a fuzzer comes up with, a minute each: FUZZ_SECONDS=600 PROGRAMS='message token'. What breaks
# one is named and lies in fuzz/artifacts. There is no unsafe code here, so no sanitizer either.
FUZZ_SECONDS ?= 60
PROGRAMS ?= $(sort $(notdir $(wildcard fuzz/corpus/*)))
fuzz:
	@$(CARGO) +nightly fuzz --version > /dev/null 2>&1 || { echo "Fuzzing needs a nightly toolchain and cargo-fuzz:" \
		"rustup toolchain install nightly && cargo install --locked cargo-fuzz" >&2; exit 1; }
	@for program in $(PROGRAMS); do \
		mkdir -p target/fuzz/$$program; \
		$(CARGO) +nightly fuzz run --sanitizer none $$program target/fuzz/$$program fuzz/corpus/$$program -- \
			-max_total_time=$(FUZZ_SECONDS) -timeout=10 -print_final_stats=1 || exit 1; \
	done

# The rules that the template keeps, the flaws that they find, and the linters of others.
template: $(STAMP) $(SAM_STAMP) $(CHECKOV_STAMP)
	AWS_DEFAULT_REGION=us-east-1 $(VENV)/bin/python -m unittest discover --start-directory tests/template
	SAM_CLI_TELEMETRY=0 $(SAM_VENV)/bin/sam validate --lint --region us-east-1 --template template.yaml
	@mkdir -p target
	AWS_DEFAULT_REGION=us-east-1 $(VENV)/bin/python tests/template/translated.py > target/translated.json
	$(SAM_VENV)/bin/cfn-lint --regions us-east-1 cn-north-1 us-gov-west-1 --template target/translated.json
	$(CHECKOV) --file template.yaml
	$(CHECKOV) --file target/translated.json

# The fleet's user data, scripts and units, in a clean root file system; without root where users may make namespaces.
fleet: $(STAMP)
	$(VENV)/bin/python -m unittest discover --start-directory tests/fleet

# A short look at real accounts, minutes: the variables TRANSHIP_REAL_… name them, see CONTRIBUTING.md.
real:
	$(CARGO) test --locked --workspace --test command -- --ignored --nocapture --exact \
		real::accounts_that_the_environment_names

# Python environments of the tests' own; made anew when their requirements change. These name everything that is
# installed, and what of it is used is compiled then.
unexport PYTHONDONTWRITEBYTECODE
venv: $(STAMP) $(THIRD_STAMP) $(SAM_STAMP)

$(VENV)/made-from: tests/requirements.txt
$(THIRD_VENV)/made-from: tests/third-requirements.txt
$(SAM_VENV)/made-from: tests/sam-requirements.txt
$(CHECKOV_VENV)/made-from: tests/checkov-requirements.txt
$(BENCH_VENV)/made-from: bench/requirements.txt

$(STAMP) $(THIRD_STAMP) $(SAM_STAMP) $(CHECKOV_STAMP) $(BENCH_STAMP):
	@rm -rf $(@D)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
		|| { echo "The tests need Python 3.10 or newer; name it with PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -m venv $(@D) \
		|| { echo "Cannot make $(@D): the tests need Python's venv module (on Debian: python3-venv)." >&2; exit 1; }
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-compile --requirement $< \
		|| { echo "Cannot install $< into $(@D): the first run needs Python's package index." >&2; exit 1; }
	@cp $< $@
