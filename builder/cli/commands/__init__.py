"""The commands, a module for those of one purpose.

May import `cli.options`, `cli.output`, `cli.progress` and `cli.display`; only `cli.main` imports it.
"""
