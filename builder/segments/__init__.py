"""Segments: sealed files of replies, by which workers on any machines fill the journal of one release.

    journal of a worker -> sealing -> store (a folder, s3://, gs://, hf://) -> joining -> journal of the release

`segment` is the format of the files, `store` the place where they are (a `shared_folder`), `sealing` the
worker's side and `joining` the reader's; `summary` counts what they hold, and `publication` writes those of a release.
May import `planning`, `llm` and `core`.
"""
