"""Command line: parse arguments, call the package, print results.

Results go to stdout, progress and errors to stderr. May import every other room; only `__main__` imports it.
"""
