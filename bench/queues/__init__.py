"""Task queues alone, with tasks that do nothing: their servers, measurements and report."""
