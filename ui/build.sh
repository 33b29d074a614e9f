#!/bin/sh
# Builds the web interface into ui/dist, from the versions in package-lock.json. Does nothing when it is up to date.
set -eu
cd "$(dirname "$0")"
newer() { find index.html package.json package-lock.json vite.config.ts tsconfig.json src public scripts -newer dist/index.html | grep -q .; }
if [ -f dist/index.html ] && ! newer; then exit 0; fi
if [ ! -f node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  npm ci --no-audit --no-fund --loglevel=error
  touch node_modules/.package-lock.json
fi
npm run --silent build
