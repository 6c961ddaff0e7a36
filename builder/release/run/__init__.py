"""The folder of a run: its lock, its state, and how a damaged release or run is mended from it.

`run_folder` keeps everything that an interrupted run must not lose, `locking` lets one process at a time use it, and
`mending` finds out what is damaged. Used by `writer` and by the flows.
"""
