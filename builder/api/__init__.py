"""Public Python API: verbs, `Release` and `Comparison`, for scripts and notebooks.

A verb turns its keywords into a recipe or settings, draws progress bars, runs a flow, and returns an object with tables
and an HTML view. `personagen` itself exports the names, each imported on first use.

May import every room but cli; imported by nothing in builder.
"""
