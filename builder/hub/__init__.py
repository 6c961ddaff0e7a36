"""Publish releases and metrics on the Hugging Face Hub, and verify releases there or in a folder.

A push changes a branch by one commit; the same call completes an interrupted push. Calls are retried where the client
of `huggingface_hub` gives up at once.

May import release, llm, planning and core; imported by api and cli.
"""

from personagen.builder.hub.push import PushResult, PushSettings, push
from personagen.builder.hub.push_metric import push_metric
from personagen.builder.hub.verify import Verification, verify_folder, verify_hub

__all__ = ["PushResult", "PushSettings", "Verification", "push", "push_metric", "verify_folder", "verify_hub"]
