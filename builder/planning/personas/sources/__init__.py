"""Foreign personas: rows of a table that become the personas of a release, chosen by seed and copied into the run.

files -> columns -> scanning (candidates) -> choosing -> stored (file of the run) -> people; licences: may the release
have them
"""
