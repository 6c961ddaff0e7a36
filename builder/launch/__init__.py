"""Start `personagen fill` for every part of a run: as local processes, and by Slurm, Hugging Face Jobs and Ray.

Each launcher is one file over an engine that exists; queues, retries and logs are the engine's. All of them start the
same command line (`commands.py`), and a part that is started twice, or again, costs no reply that was shipped.

May import hub, planning and core; imported by cli.
"""
