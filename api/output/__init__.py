"""From the job store to bodies of responses: readers of results, serializers, formats, metrics."""
