#!/usr/bin/env bash
# Makes dist/firstpass.cdx.json: the crates in the released binary, as CycloneDX. The same source makes the same bytes.
# Needs Rust and cargo-cyclonedx (`.ci/run sbom` installs it).
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p dist
# Without a time of its own it has the present one, and a random number.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
# It writes a file beside each Cargo.toml. `--describe binaries` leaves out what only tests need.
cargo cyclonedx --quiet --format json --spec-version 1.5 --describe binaries --no-build-deps --target x86_64-unknown-linux-gnu
rm sandbox/firstpass-sandbox_bin.cdx.json
# It names the folder of the source.
sed "s|path+file://$PWD#||" firstpass_bin.cdx.json >dist/firstpass.cdx.json
rm firstpass_bin.cdx.json
