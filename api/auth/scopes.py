"""Scopes: what a key may do."""

from __future__ import annotations

from enum import StrEnum


class Scope(StrEnum):
    """What a key may do."""

    SUBMIT = "submit"  # create jobs, and read the responses to these calls
    READ = "read"  # read jobs, results, limits and the backlog
    CANCEL = "cancel"  # cancel and delete jobs
    ADMIN = "admin"  # all of these, for the jobs of the key itself
    OPERATOR = "operator"  # `/v1/admin/*`: keys, usage and work of all owners, never their texts


# What `admin` includes: it is about the key's own jobs, and opens nothing of others.
OF_ADMIN = frozenset({Scope.SUBMIT, Scope.READ, Scope.CANCEL, Scope.ADMIN})
