"""How the job store names things in Redis. The whole schema, with types and lifetimes: docs/redis.md."""

from __future__ import annotations

from tasks.vocabulary.jobs import Queue
from tasks.vocabulary.model_names import WAKEUPS

PREFIX = "sentiq:"

FINISHED_CHANNEL = PREFIX + "finished"
PROGRESS_CHANNEL = PREFIX + "progress"
OPEN_JOBS = PREFIX + "open_jobs"
UPLOADS = PREFIX + "uploads"
DEFERRED = PREFIX + "deferred"
DELIVERY_TURNS = PREFIX + "delivery_turns"
DELIVERY_LOG = PREFIX + "delivery_log"
COUNTERS = PREFIX + "counters"
OWNERS = PREFIX + "owners"
KEPT = PREFIX + "kept"
MODELS = PREFIX + "models"
RETIRED = PREFIX + "retired"
WORKERS = PREFIX + "workers"
WORKER_PROCESSES = PREFIX + "workers:processes"
LABELS = PREFIX + "labels"
FENCE = PREFIX + "fence"
RECONCILER = PREFIX + "reconciler"
ID_SECRET = PREFIX + "id_secret"
WEBHOOK_SECRET = PREFIX + "webhook_secret"
DATA_LOST = PREFIX + "data_lost"
WRITABLE = PREFIX + "writable"
DURABLE = PREFIX + "durable"
UNACKED = PREFIX + "unacked"
API_KEYS, API_KEYS_VERSION = PREFIX + "api_keys", PREFIX + "api_keys:version"
WEIGHTS = PREFIX + "weights"
USAGE_OWNERS = PREFIX + "usage_owners"
API_KEYS_USED = PREFIX + "api_keys:used"
RATES = PREFIX + "rates"
AUDIT = PREFIX + "audit"
AUDIT_JOBS, AUDIT_REFUSED = PREFIX + "audit:jobs", PREFIX + "audit:refused"
PAUSES = PREFIX + "pauses"
UNSETTLED = PREFIX + "unsettled"

_JOB = PREFIX + "job:"
_PENDING = PREFIX + "pending:"
_WAITING = PREFIX + "waiting:"
_TURNS = PREFIX + "turns:"
_TAGS = PREFIX + "tags:"
_LEASED = PREFIX + "leased:"
_LEASES = PREFIX + "leases:"
_BACKLOG = PREFIX + "backlog:"
_SHARES = PREFIX + "shares:"
_LINES = PREFIX + "lines:"
_PARKED = PREFIX + "parked:"
_PARKED_SHARES = PREFIX + "parked_shares:"
_PARKED_LINES = PREFIX + "parked_lines:"
_PUBLISHED = PREFIX + "published:"
_AWAKE = PREFIX + "awake:"
_READY = PREFIX + "ready:"
_RESERVED = PREFIX + "reserved:"
_KEPT_JOBS = PREFIX + "kept_jobs:"
_KEPT_UNTIL = PREFIX + "kept_until:"
_RESERVATION = PREFIX + "reservation:"
_TOMBSTONE = PREFIX + "tombstone:"
_JOBS = PREFIX + "jobs:"
_OWNER_OPEN_JOBS = PREFIX + "open_jobs:"
_IDEMPOTENCY = PREFIX + "idempotency:"
_SENDER = PREFIX + "sender:"
_DELIVERIES = PREFIX + "deliveries:"
_ANSWER = PREFIX + "answer:"
_USAGE = PREFIX + "usage:"

# The parts of a job beside its record: what goes when it finishes, and what stays as long as its results.
WORK_PARTS = ("chunks", "tokens", "deferred")
RESULT_PARTS = ("results", "completed", "retryable", "attachments", "summary")
# All of them: what is deleted with it.
JOB_PARTS = (*WORK_PARTS, *RESULT_PARTS, "delivery")

# What the scripts call these: `keys.job .. id`. See tasks/store/scripts.py.
FOR_SCRIPTS = {
    "finished": FINISHED_CHANNEL,
    "progress": PROGRESS_CHANNEL,
    "open_jobs": OPEN_JOBS,
    "uploads": UPLOADS,
    "deferred": DEFERRED,
    "delivery_turns": DELIVERY_TURNS,
    "delivery_log": DELIVERY_LOG,
    "counters": COUNTERS,
    "owners": OWNERS,
    "kept": KEPT,
    "models": MODELS,
    "retired": RETIRED,
    "fence": FENCE,
    "id_secret": ID_SECRET,
    "weights": WEIGHTS,
    "usage": _USAGE,
    "usage_owners": USAGE_OWNERS,
    "pauses": PAUSES,
    "unsettled": UNSETTLED,
    "job": _JOB,
    "pending": _PENDING,
    "waiting": _WAITING,
    "turns": _TURNS,
    "tags": _TAGS,
    "leased": _LEASED,
    "leases": _LEASES,
    "backlog": _BACKLOG,
    "shares": _SHARES,
    "lines": _LINES,
    "parked": _PARKED,
    "parked_shares": _PARKED_SHARES,
    "parked_lines": _PARKED_LINES,
    "published": _PUBLISHED,
    "awake": _AWAKE,
    "ready": _READY,
    "reserved": _RESERVED,
    "kept_jobs": _KEPT_JOBS,
    "kept_until": _KEPT_UNTIL,
    "reservation": _RESERVATION,
    "tombstone": _TOMBSTONE,
    "jobs": _JOBS,
    "owner_open_jobs": _OWNER_OPEN_JOBS,
    "deliveries": _DELIVERIES,
    "answer": _ANSWER,
    "wakeups": WAKEUPS,
}


def job_key(job_id: str, part: str = "") -> str:
    """Return the key of a job's record, or of one of its parts.

    `chunks` holds texts, `deferred` refs of those that may not be leased yet, `results` outcomes, `tokens`
    fencing tokens, `completed` the order of completion, `retryable` texts of failed items, `attachments` what
    comes back with the items, `summary` counts of outcomes, `delivery` the webhook's delivery.
    """
    return f"{_JOB}{job_id}{':' if part else ''}{part}"


def pending_key(queue: Queue, owner: str = "") -> str:
    """Return the key of an owner's refs in a queue that no child has leased."""
    return f"{_PENDING}{queue}:{owner}"


def waiting_key(queue: Queue) -> str:
    """Return the key of the owners that have refs in a queue that no child has leased."""
    return f"{_WAITING}{queue}"


def turns_key(queue: Queue) -> str:
    """Return the key of the owners that wait in a queue, by the virtual time of their turn."""
    return f"{_TURNS}{queue}"


def tags_key(queue: Queue) -> str:
    """Return the key of the owners with nothing waiting whose last lease is ahead of the queue's time."""
    return f"{_TAGS}{queue}"


def leased_key(queue: Queue) -> str:
    """Return the key of the refs that children have leased."""
    return f"{_LEASED}{queue}"


def leases_key(worker: str) -> str:
    """Return the key of what the children of a worker hold."""
    return _LEASES + worker


def backlog_key(queue: Queue) -> str:
    """Return the key of what waits in a queue and how fast it drains."""
    return f"{_BACKLOG}{queue}"


def shares_key(queue: Queue) -> str:
    """Return the key of what each owner has in a queue."""
    return f"{_SHARES}{queue}"


def lines_key(queue: Queue) -> str:
    """Return the key of how many items of each owner are in a queue, and how many have left it."""
    return f"{_LINES}{queue}"


def parked_key(queue: Queue) -> str:
    """Return the key of the owners that are paused in a queue and have refs that no child has leased."""
    return f"{_PARKED}{queue}"


def parked_shares_key(queue: Queue) -> str:
    """Return the key of what each owner has in a queue that is paused there."""
    return f"{_PARKED_SHARES}{queue}"


def parked_lines_key(queue: Queue) -> str:
    """Return the key of the lines of owners that are paused in a queue."""
    return f"{_PARKED_LINES}{queue}"


def published_key(model: str) -> str:
    """Return the key of the wake-ups of a model that no child has taken yet."""
    return _PUBLISHED + model


def awake_key(model: str) -> str:
    """Return the key of the children of a model that lease again until nothing waits."""
    return _AWAKE + model


def ready_key(model: str) -> str:
    """Return the key of how many children of a model can score."""
    return _READY + model


def reserved_key(queue: Queue) -> str:
    """Return the key of the owners for whom room in a queue is reserved."""
    return f"{_RESERVED}{queue}"


def kept_until_key(owner: str) -> str:
    """Return the sorted set of an owner's jobs by the time at which they expire."""
    return _KEPT_UNTIL + owner


def kept_jobs_key(owner: str) -> str:
    """Return the key of the bytes that are kept of each job of an owner."""
    return _KEPT_JOBS + owner


def tombstone_key(job_id: str) -> str:
    """Return the key that remembers why a record is gone when the id alone cannot say."""
    return _TOMBSTONE + job_id


def owner_jobs_key(owner: str) -> str:
    """Return the key of the list of an owner's job ids."""
    return _JOBS + owner


def idempotency_key(digest: str) -> str:
    """Return the key that remembers which job an idempotency key made."""
    return _IDEMPOTENCY + digest


def sender_key(host: str) -> str:
    """Return the key of the heartbeat of a host's sender of webhooks."""
    return _SENDER + host


def owner_open_jobs_key(owner: str) -> str:
    """Return the key of the ids of an owner's unfinished jobs."""
    return _OWNER_OPEN_JOBS + owner


def usage_key(owner: str) -> str:
    """Return the key of what an owner's jobs used."""
    return _USAGE + owner


def deliveries_key(owner: str) -> str:
    """Return the key of an owner's deliveries that are to be made."""
    return _DELIVERIES + owner
