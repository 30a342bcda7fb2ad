"""The benchmarks, one a file: `python -m bench NAME` runs the `PROGRAM` of the file NAME.

The runner lists the first line of each docstring, and imports only the file that it runs: some need torch.
"""
