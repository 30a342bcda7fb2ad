"""Text in: validation, uploads, and the use case that makes a job."""
