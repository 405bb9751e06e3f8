#!/bin/sh
# Runs an installer so that it trusts the certificates of the system, to which the engine adds those
# of a company's proxy: a pip before 24.2 has only its own. Usage: trust.sh COMMAND [ARGUMENT]...
for bundle in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt; do
  if [ -r "$bundle" ]; then
    export PIP_CERT="$bundle" REQUESTS_CA_BUNDLE="$bundle" SSL_CERT_FILE="$bundle"
    break
  fi
done
exec "$@"
