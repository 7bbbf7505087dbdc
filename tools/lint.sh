#!/usr/bin/env bash
# Every linter of the project, each with its time; names of parts may be given: tools/lint.sh ruff mypy
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
root=$PWD
export PATH="$root/.venv/bin:$PATH"
collection=collections/ansible_collections/claudescale/core
failed=()

ruff_part() { ruff check --quiet . && ruff format --quiet --check .; }
mypy_part() { mypy --no-error-summary "$collection/plugins/module_utils" cli/claudescale_cli mcp_plugin/claudescale_mcp "$collection/images" && mypy --no-error-summary tests/kit tools; }
yamllint_part() { yamllint --strict .; }
shellcheck_part() {
  git ls-files -co --exclude-standard -z | xargs -0 grep -lIE --directories=skip '^#!.*\b(ba)?sh\b' |
    xargs --no-run-if-empty shellcheck --external-sources
}
ansible_lint_part() { ansible-lint --offline -q; }
changelog_part() { (cd "$collection" && antsibull-changelog lint); }

# ansible-test fetches pip for its own environments from the web; ensurepip brings the same without it. It finds other
# collections beside ours only, and our modules take options from kubernetes.core: a copy stands beside a link to that.
sanity_part() {
  local cache="$HOME/.ansible/test/cache" shim tree kubernetes
  shim="$cache/get_pip_24_2.py"
  if [ ! -e "$shim" ]; then
    mkdir -p "$cache"
    cp tools/get_pip.py "$shim"
  fi
  kubernetes=$(python -c 'import ansible_collections.kubernetes.core as found; print(list(found.__path__)[0])') || return
  tree=$(mktemp -d) || return
  mkdir -p "$tree/ansible_collections/claudescale" "$tree/ansible_collections/kubernetes"
  ln -s "$kubernetes" "$tree/ansible_collections/kubernetes/core"
  git ls-files -co --exclude-standard -z "$collection" | tar --create --null --ignore-failed-read --files-from - | tar --extract --directory "$tree" &&
    mv "$tree/$collection" "$tree/ansible_collections/claudescale/core" &&
    (cd "$tree/ansible_collections/claudescale/core" && ansible-test sanity --color no --requirements --python "$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])')")
  local code=$?
  rm -rf "$tree"
  return "$code"
}

for part in "${@:-ruff mypy yamllint shellcheck ansible-lint changelog sanity}"; do
  for name in $part; do
    started=$(date +%s)
    if output=$("${name//-/_}_part" 2>&1); then
      printf 'lint %-14s ok      %4d s\n' "$name" "$(($(date +%s) - started))"
    else
      printf '%s\nlint %-14s FAILED  %4d s\n' "$output" "$name" "$(($(date +%s) - started))"
      failed+=("$name")
    fi
  done
done
if [ ${#failed[@]} -gt 0 ]; then
  printf 'lint failed: %s\n' "${failed[*]}" >&2
  exit 1
fi
