#!/bin/sh
# Call a task of gearfleet from a shell, and print its result as JSON.
#
#     sh call.sh 127.0.0.1:4730 shop.worker_foo.greet '["Ada"]'
#
# Needs `gearman` (Debian: gearman-tools). With GEARFLEET_SIGNING_KEY the job is
# signed, for which it needs openssl.
set -eu

server=$1 function=$2 args=$3
body="{\"v\":1,\"args\":$args}"

hmac() {
    openssl dgst -sha256 -hex -mac HMAC -macopt "hexkey:$1" | sed 's/.* //'
}

if [ -n "${GEARFLEET_SIGNING_KEY:-}" ]; then
    secret=$(printf %s "$GEARFLEET_SIGNING_KEY" | od -An -v -tx1 | tr -d ' \n')
    key=$(printf %s 'gearfleet payload' | hmac "$secret")
    signature=$(printf 'gearfleet/1 envelope %s \n%s' "$function" "$body" | hmac "$key")
    body=$(printf 'gearfleet/1 envelope %s\n%s' "$signature" "$body")
fi

printf %s "$body" | gearman -h "${server%:*}" -p "${server##*:}" -f "$function"
echo
