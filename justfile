# Recipes for people; `.ci/run` is the gate.

default:
    @just --list

# Everything that must hold before a change lands.
gate:
    .ci/run

# The tests, as the README promises.
test:
    cargo test

# Format and lints.
lint:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings

# Write the documents anew that are made from the code.
docs:
    UPDATE_DOCS=1 cargo test --test it docs

# Look at what changed in the objects that shipped triggers make, and take it over.
golden:
    INSTA_UPDATE=always cargo test --test it shipped

# Kill the gateway for a while, and print what came of it; CRASH_BINARY names
# another binary than this build's, CRASH_SEED gives a run back.
crash-long cycles='250' events='20000':
    CRASH_CYCLES={{cycles}} CRASH_EVENTS={{events}} \
      cargo test --test programs crash::every_202_ends -- --nocapture

# What the gateway costs, beside a bare server.
bench:
    cargo bench --bench gateway

# What a flood on one listener does to another one.
fairness:
    cargo bench --bench fairness

# Recorded cases of Tekton Triggers: a folder of *.jsonl files.
conformance cases:
    cargo run --release --example conformance -- --allow examples/conformance/allow.txt {{cases}}

# Licences, advisories and duplicate dependencies; needs cargo-deny.
deny:
    cargo deny check

# Check upstream's own examples; DIR is examples/v1beta1 or examples/v1alpha1 of tektoncd/triggers.
examples dir:
    #!/usr/bin/env bash
    set -euo pipefail
    cargo build --quiet --bin tripline
    mistaken=()
    for folder in '{{dir}}'/*/; do
      echo "== $(basename "$folder")"
      # What an example does not bring with it is in folders that all share.
      target/debug/tripline check "$folder" >/dev/null 2>&1 && shared=() ||
        shared=('{{dir}}'/{triggerbindings,triggertemplates,clustertriggerbindings})
      target/debug/tripline check "$folder" "${shared[@]}" || mistaken+=("$(basename "$folder")")
    done
    echo "with mistakes: ${mistaken[*]:-none}"
