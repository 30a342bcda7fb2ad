#!/bin/sh
# Serve TLS if a certificate or a key is mounted at /etc/nginx/tls, else plain HTTP. If one of the two is missing or
# cannot be read, nginx ends and names the file, so it never serves plain HTTP by mistake.
set -eu
tls=/etc/nginx/tls
if [ -e $tls/fullchain.pem ] || [ -e $tls/privkey.pem ]; then mode=tls; else mode=plain; fi
sed "s/@TLS_PORT@/${TLS_PORT:-8443}/" /etc/sentiq/$mode.conf > /tmp/nginx.conf
echo "nginx: serving $mode" >&2
exec nginx -e stderr -c /tmp/nginx.conf -g 'daemon off;'
