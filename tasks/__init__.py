"""What both sides of the queue agree on: settings, vocabulary, job store, and Celery.

Celery is a doorbell and a supervisor of prefork children, and nothing more: a wake-up brings a child to the
store, which leases it the oldest chunks. What was accepted, leased and completed is known to the store alone.
"""
