#!/bin/sh
# Installs packages of the container's system. Usage: packages.sh PACKAGE...
set -eu
if command -v apt-get >/dev/null; then
  apt-get update --quiet
  DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes --no-install-recommends -- "$@"
  rm -rf /var/lib/apt/lists/*
else
  apk add --no-cache -- "$@"
fi
