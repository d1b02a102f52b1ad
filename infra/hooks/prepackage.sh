#!/bin/sh
# Puts the package into dist/: made here, where Rust and zip are installed on Linux on x86-64, and otherwise fetched from the release
# of the version in Cargo.toml. `azd package`, `azd deploy` and `azd up` run this; it can be run by hand too. With one of these it is
# fetched in any case:
#
#   FIRSTPASS_RELEASES         where the releases are, if not in the `repository` of Cargo.toml: the folder that has v<version>/
#   FIRSTPASS_PACKAGE_SHA256   the SHA-256 that the package must have, if not the one beside it
set -eu
cd "$(dirname "$0")/../.."

fail() {
  echo "infra/hooks/prepackage.sh: $*" >&2
  exit 1
}

if [ -z "${FIRSTPASS_RELEASES:-}${FIRSTPASS_PACKAGE_SHA256:-}" ] && [ "$(uname -sm)" = "Linux x86_64" ] && command -v cargo >/dev/null && command -v zip >/dev/null; then
  exec infra/package.sh
fi

value() { sed -n "s/^$1 = \"\(.*\)\"$/\1/p" Cargo.toml | head -n 1; }
version=$(value version)
repository=$(value repository)
releases=${FIRSTPASS_RELEASES:-${repository:+$repository/releases/download}}
[ -n "$releases" ] || fail "Cargo.toml names no repository, so there is no release to fetch. Set FIRSTPASS_RELEASES to the folder of" \
  "the releases (https://…/releases/download), or install Rust and zip on Linux on x86-64."
url=$releases/v$version/firstpass.zip

sha256() { if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d ' ' -f 1; }
fetch() { curl --fail --silent --show-error --location --output "$2" "$1" || fail "$1 cannot be fetched. Nothing was changed."; }

# What is in dist/ has been checked, or is not there.
mkdir -p dist
part=dist/firstpass.zip.part
trap 'rm -f "$part" "$part.sha256"' EXIT
fetch "$url" "$part"
expected=$(printf %s "${FIRSTPASS_PACKAGE_SHA256:-}" | tr '[:upper:]' '[:lower:]')
if [ -z "$expected" ]; then
  fetch "$url.sha256" "$part.sha256"
  expected=$(cut -d ' ' -f 1 "$part.sha256")
fi
actual=$(sha256 "$part")
[ "$actual" = "$expected" ] || fail "$url has the SHA-256 $actual, and $expected was expected. It was not kept: somebody changed it," \
  "or the download is damaged. Run this again; if it stays, do not deploy it, and report it."
mv "$part" dist/firstpass.zip
echo "$actual  firstpass.zip" >dist/firstpass.zip.sha256
echo "dist/firstpass.zip is the release $version, SHA-256 $actual"
