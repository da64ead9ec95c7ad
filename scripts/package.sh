#!/usr/bin/env bash
# Packs the last commit as the plugin that QGIS installs: one folder, without what only developers need.
#
#   scripts/package.sh [FILE]      an absolute path, or one in the checkout; default dist/protolabel.zip
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/common.sh
target=${1:-dist/protolabel.zip}

git rev-parse --verify --quiet HEAD >/dev/null || fail "The package is made from the last commit; there is none here."
[[ -z $(git status --porcelain) ]] || say "Note: what is not committed is not in the package."
mkdir -p "$(dirname "$target")"
git archive --worktree-attributes --format=zip --prefix=protolabel/ --output="$target.part" HEAD
mv -f "$target.part" "$target"
say "The package is ready: $target"
