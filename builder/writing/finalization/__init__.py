"""Finalization: from written rows to accepted rows, in the order of the plan.

`window` begins the rows of a plan and retries them. `certain_retries` decides which rows have to be retried, by the
texts of finalized rows: those in `duplicate_index`, on disk. `waiting_texts` has the texts that are not finalized yet,
in memory, and `fingerprints` is the comparison of two texts.
"""
