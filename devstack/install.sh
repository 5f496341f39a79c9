#!/usr/bin/env bash
# Java 17 and Maven, which run the Kafka broker of the development stack, and Chromium, in which the console's pages are
# tested, where they are missing and we may install.
set -euo pipefail
missing=()
command -v java >/dev/null || missing+=(openjdk-17-jre-headless)
command -v mvn >/dev/null || missing+=(maven)
command -v chromium >/dev/null || missing+=(chromium)
if [ ${#missing[@]} -eq 0 ]; then
    exit 0
fi
if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
    echo "Kafka needs Java 17 and Maven, the browser tests Chromium; install them (Debian: ${missing[*]}) and try again" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
