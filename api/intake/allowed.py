"""What a key may submit: its models and its classes."""

from __future__ import annotations

from tasks.errors import ClassNotAllowedError, Limit, ModelNotAllowedError
from tasks.vocabulary.jobs import QueueClass, Terms


def require_allowed_models(terms: Terms) -> None:
    """Raise ModelNotAllowedError if the key of the owner may not name a model of the job."""
    for model in filter(None, (terms.model, terms.compare_with)):
        if not terms.limits.allow_model(model):
            raise ModelNotAllowedError(model, Limit("models", terms.limits.models or (), "key"))


def class_of(terms: Terms, fitting: QueueClass) -> QueueClass:
    """Return the class of a job: what it asks for, else what fits, else what its key may use.

    Raises ClassNotAllowedError if it asks for one that its key may not use.
    """
    chosen, limits = terms.queue_class or fitting, terms.limits
    if limits.allow_class(chosen):
        return chosen
    other = next((each for each in QueueClass if limits.allow_class(each)), None)
    if terms.queue_class or other is None:
        raise ClassNotAllowedError(chosen, Limit("classes", limits.classes or (), "key"))
    return other
