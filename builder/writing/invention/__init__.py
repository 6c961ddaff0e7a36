"""Invent events: a stage before the rows, in which the model writes the events that they are about.

    plan -> batches (what each request asks for) -> replies -> clauses (checked, distinct) -> plan with these events

A request depends on the recipe and on the number of its batch alone, and replies are read in the order of the batches.
So the events depend on the replies and not on timing, and an interrupted run invents the same ones.
"""
