"""Headers of every response. No other imports: gunicorn's worker needs them before gevent patches sockets."""

SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",  # for browsers that do not know frame-ancestors
    "Referrer-Policy": "same-origin",  # `no-referrer` would also hide the origin of the page's own requests
    "Cross-Origin-Resource-Policy": "same-origin",
}
DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"
# Jobs, their results and problems belong to one caller. Files in static/ have their own rule.
CACHING = "no-store"
