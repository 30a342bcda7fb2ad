"""Waiting for jobs: long polls and streams, the events that wake them, and the backlog ahead of a job."""
