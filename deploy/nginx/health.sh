# Check through nginx that the API is ready. The official image always has bash, but not always curl.
exec 3<>/dev/tcp/127.0.0.1/8080
printf 'GET /readyz HTTP/1.0\r\nHost: probe\r\n\r\n' >&3
read -r _ status _ <&3
[ "$status" = 200 ]
