"""From a request's texts to a recorded job: validation, uploads, submission. No Flask, no HTTP."""
