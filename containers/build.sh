#!/usr/bin/env bash
# Builds the image with docker or apptainer, whichever runs here; where neither does, checks the recipe and says so.
# usage: containers/build.sh HADOLINT
set -euo pipefail
cd "$(dirname "$0")/.."

if docker info >/dev/null 2>&1; then
  docker build --file containers/Dockerfile --tag tdro .
  docker run --rm tdro python -m tdro --help >/dev/null
elif command -v apptainer >/dev/null; then
  apptainer build tdro.sif containers/tdro.def
else
  "$1" --failure-threshold warning containers/Dockerfile
  echo "containers/build.sh: no image was built, as neither docker nor apptainer runs here; hadolint found no fault in containers/Dockerfile"
fi
