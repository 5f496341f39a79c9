#!/usr/bin/env bash
# Java 17 and Maven, which run the Kafka broker of the development stack, where they are missing and we may install.
set -euo pipefail
if command -v java >/dev/null && command -v mvn >/dev/null; then
    exit 0
fi
if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
    echo "Java 17 and Maven are needed for Kafka; install them (Debian: openjdk-17-jre-headless maven) and try again" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends openjdk-17-jre-headless maven >/dev/null
