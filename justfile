# Daily commands. Each recipe is one command; CONTRIBUTING.md has the same ones.

# List the recipes
default:
    @just --list --unsorted

# Formatting, lints, documentation, dependencies: what needs no test run
check:
    .ci/run fmt clippy shell docs tree

# All tests, or those whose name contains a word
test *ARGS:
    cargo test {{ ARGS }}

# The whole job on a simulated tenant, and its page
demo *ARGS:
    cargo demo {{ ARGS }}

# The simulated tenant for other processes; with --functions, all three functions on it
sandbox *ARGS:
    cargo sandbox {{ ARGS }}

# Run this many random scenarios with faults
campaign SEEDS="2000":
    cargo test --profile campaign --test campaign -- --seeds {{ SEEDS }}

# Make each mistake of a list, and check that a test notices it
mutations LIST="tests/mutations/flow.toml":
    tests/mutations/run.py {{ LIST }}

# What whole scenarios cost; with --check, compared with the counts that are kept
bench *ARGS:
    cargo bench --bench scenarios -- {{ ARGS }}

# Review changed snapshots (needs cargo-insta)
review:
    cargo insta review

# Build the released binary, and check it
release:
    .ci/run release

# Everything that must hold before a change lands
ci:
    .ci/run
