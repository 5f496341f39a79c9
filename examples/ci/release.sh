#!/bin/sh
# Package, register and test a model, then ask the gate. Needs MUNIMENT_URL (and MUNIMENT_KEY where keys are set up).
# Exit 0: it may go to $STAGE; 1: it may not; 2: could not tell.
set -eu
MODEL="${MODEL:-late-flights}"
STAGE="${STAGE:-staging}"
STORE="${STORE:-bundles}"

python train.py
muniment package train.py:build --sample data/sample.parquet --name "$MODEL" --tests tests.yaml --out model.mbundle
muniment register "$MODEL" model.mbundle --store "$STORE" --owner "${OWNER:-ci}" --json > registered.json
VERSION="$(python -c 'import json; print(json.load(open("registered.json"))["version"])')"
muniment test model.mbundle --model "$MODEL" --version "$VERSION"
muniment gate "$MODEL" "$VERSION" --stage "$STAGE" --junit gate.xml
