#!/bin/sh
# TLS when a certificate is mounted at /etc/nginx/tls, plain HTTP otherwise. A certificate or key that is missing
# or cannot be read ends nginx with a line that names the file: nothing is served in the clear by mistake.
set -eu
tls=/etc/nginx/tls
if [ -e $tls/fullchain.pem ] || [ -e $tls/privkey.pem ]; then mode=tls; else mode=plain; fi
sed "s/@TLS_PORT@/${TLS_PORT:-8443}/" /etc/sentiq/$mode.conf > /tmp/nginx.conf
echo "nginx: serving $mode" >&2
exec nginx -e stderr -c /tmp/nginx.conf -g 'daemon off;'
