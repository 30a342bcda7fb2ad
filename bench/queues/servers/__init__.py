"""A module a queue, with the same three functions: `submit`, `result` and `submit_many`; and one Flask route.

Each runs in the environment of its queue. The workers of a queue load its module too.
"""
