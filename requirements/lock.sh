#!/bin/sh
# Makes the lock files anew from pyproject.toml; needs uv. One file per image or machine that installs it.
set -eu
cd "$(dirname "$0")/.."
compile() {
    out=requirements/$1.lock
    shift
    uv pip compile "$@" --universal --python-version 3.11 --generate-hashes --quiet \
        --no-emit-index-url --custom-compile-command requirements/lock.sh --output-file "$out"
}
lock() {
    name=$1
    shift
    compile "$name" pyproject.toml "$@"
}
lock api --extra api
lock webhooks --extra webhooks
lock worker --extra worker
lock worker-torch --extra worker --extra torch-engine
lock flower --extra flower
lock pack --extra worker --extra models
lock local --extra api --extra webhooks --extra worker --extra local
lock plot --extra worker --extra plot
lock browser --extra api --extra webhooks --extra worker --extra local --extra dev --extra browser
lock models --extra api --extra webhooks --extra worker --extra local --extra dev --extra models
lock contract --extra api --extra webhooks --extra worker --extra local --extra dev --extra contract
lock formats --extra api --extra webhooks --extra worker --extra local --extra dev --extra formats
lock spark --extra api --extra webhooks --extra worker --extra local --extra dev --extra spark
lock dev --extra api --extra webhooks --extra worker --extra local --extra dev --extra plot
# Installed beside one of the above, so it has the packages of the extra alone, and what they need.
python3 -c 'import tomllib
print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["tracing"], sep="\n")' |
    compile tracing - --constraint requirements/dev.lock
compile parity requirements/parity.in
# An environment for each peer of `make bench-peers`; torch is installed beside.
for peer in requirements/peers/*.in; do
    name=$(basename "$peer" .in)
    compile "peers/$name" "$peer" --override requirements/peers/torch-beside.txt --no-emit-package torch
done
