"""The programs that read REDIS_URL: the module that each runs, with its arguments."""

PROGRAMS = {
    "api": ("gunicorn", "--config", "api/gunicorn.conf.py", "api.wsgi:app"),
    "keys": ("api.auth", "list"),
    "worker": ("celery", "-A", "worker.main", "worker"),
    "probe": ("worker.health",),
    "webhooks": ("webhooks",),
    "flower": ("celery", "-A", "deploy.flower.app", "flower"),
    "up": ("local.up",),
}
