#!/bin/sh
# Serve TLS if a certificate or a key is mounted at /etc/nginx/tls, else plain HTTP. If one of the two is missing or
# cannot be read, nginx ends and names the file, so it never serves plain HTTP by mistake.
set -eu
case ${BIND:-127.0.0.1} in
127.* | ::1 | '[::1]' | localhost) ;;
*)
    if [ "${AUTH:-none}" = none ]; then
        echo "nginx: BIND=$BIND lets other machines connect, and AUTH=none lets them call: set AUTH=keys in .env" >&2
        exit 1
    fi
    ;;
esac
umask 077
tls=/etc/nginx/tls
if [ -e $tls/fullchain.pem ] || [ -e $tls/privkey.pem ]; then mode=tls; else mode=plain; fi
cookie=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
sed "s/@TLS_PORT@/${TLS_PORT:-8443}/" /etc/sentiq/$mode.conf > /tmp/nginx.conf
sed "s/@FLOWER_COOKIE@/$cookie/" /etc/sentiq/http.conf > /tmp/http.conf
echo "nginx: serving $mode" >&2
exec nginx -e stderr -c /tmp/nginx.conf -g 'daemon off;'
