#!/bin/sh
# Runs perl for the build of OpenSSL. Configure gets a list of what is left out: everything but TLS 1.0 to 1.3 over TCP
# with the suites that Go's client offers, X.509 and RSA, which halves the time that OpenSSL takes to build.
[ "$1" = ./Configure ] || exec perl "$@"
exec perl "$@" no-makedepend no-apps no-docs no-autoload-config no-engine no-ui-console no-http no-ocsp no-ct no-cms \
    no-cmp no-ts no-rfc3779 no-srp no-psk no-dtls no-srtp no-quic no-nextprotoneg no-gost no-sm2 no-sm3 no-sm4 \
    no-aria no-bf no-cast no-rc2 no-rc4 no-md4 no-mdc2 no-rmd160 no-whirlpool no-blake2 no-siphash no-siv no-ocb \
    no-scrypt no-argon2 no-dsa no-ec2m no-ml-dsa no-slh-dsa no-lms
