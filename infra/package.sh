#!/usr/bin/env bash
# Makes dist/firstpass.zip, the package of the function app, and dist/firstpass.zip.sha256.
#
# The same source and the same tools make the same bytes. The zip is made here and not by a deployment tool, because a tool
# on Windows loses the execute bit of the binary: the host then starts nothing, and looks healthy.
#
# Needs Linux on x86-64, Rust and `zip`. Without Rust, infra/hooks/prepackage.sh fetches the released package.
set -euo pipefail
export LC_ALL=C TZ=UTC
cd "$(dirname "$0")/.."

triple=x86_64-unknown-linux-gnu
zip=dist/firstpass.zip
# A folder of its own: a build of both packages would give dependencies the features of both.
build=${CARGO_TARGET_DIR:-target}/release-check
stage=$build/package

if [ "$(uname -sm)" != "Linux x86_64" ]; then
  echo "infra/package.sh builds on Linux on x86-64 only, and this is $(uname -sm). infra/hooks/prepackage.sh fetches the released package." >&2
  exit 1
fi
for tool in cargo zip; do
  command -v "$tool" >/dev/null || {
    echo "infra/package.sh needs $tool, which is not installed." >&2
    exit 1
  }
done

# Static: it runs on any Linux, whatever its C library. With relative relocations packed, which its own start-up code unpacks.
# Without this machine's paths, which would be in the messages of panics.
printf -v flags '%s\x1f' -Ctarget-feature=+crt-static -Clink-arg=-Wl,-z,pack-relative-relocs "--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
mkdir -p "$build" dist
CARGO_ENCODED_RUSTFLAGS="$flags--remap-path-prefix=$PWD=/firstpass" cargo build --locked --release --package firstpass --target "$triple" --target-dir "$build" \
  --message-format json-render-diagnostics >"$build/messages.json"

# What the host and the app read, and nothing else.
rm -rf "$stage" "$zip" "$zip.sha256"
install -D --mode 755 "$build/$triple/release/firstpass" "$stage/firstpass"
for file in host.json */function.json templates/*.j2 templates/*/*.j2; do
  install -D --mode 644 "$file" "$stage/$file"
done
output=$PWD/$zip
(
  cd "$stage"
  find . -type f -exec touch --date 1980-01-01 {} +
  # Sorted, without owners, times of access and folders.
  find . -type f -printf '%P\n' | sort | zip -X -D -q -9 "$output" -@
)
(cd dist && sha256sum firstpass.zip | tee firstpass.zip.sha256)
