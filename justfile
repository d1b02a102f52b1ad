# What people do here every day. `just` is a convenience: each recipe is one command, and CONTRIBUTING.md has the same ones.

# List the recipes
default:
    @just --list --unsorted

# Formatting, lints, documentation, dependencies: what needs no test run
check:
    .ci/run fmt clippy docs tree

# All tests, or those whose name contains a word
test *ARGS:
    cargo test {{ ARGS }}

# The whole job on a simulated tenant, and its page
demo *ARGS:
    cargo demo {{ ARGS }}

# The simulated tenant for other processes; with --functions, all three functions on it
sandbox *ARGS:
    cargo sandbox {{ ARGS }}

# Play this many stories full of faults
campaign SEEDS="2000":
    cargo test --profile campaign --test campaign -- --seeds {{ SEEDS }}

# Make the mistakes of a list one by one, and see that the tests notice
mutations LIST="tests/mutations/flow.toml":
    tests/mutations/run.py {{ LIST }}

# Look at snapshots that changed, one by one (needs cargo-insta)
review:
    cargo insta review

# Build the binary that is deployed, and check it
release:
    .ci/run release

# Everything that must hold before a change lands
ci:
    .ci/run
