"""The BibTeX of a release and of the method."""

import re
from collections.abc import Mapping
from typing import Any

from personagen.builder.core.foreign_text import printable

PAPER = """@misc{inoshita2025personagen,
  title         = {Persona-Based Synthetic Data Generation Using Multi-Stage Conditioning with Large Language Models for Emotion Recognition},
  author        = {Inoshita, Keito and Harada, Rushia},
  year          = {2025},
  eprint        = {2507.13380},
  archivePrefix = {arXiv},
  primaryClass  = {cs.CL}
}"""  # noqa: E501
"""BibTeX of the method."""

PAPER_URL = "https://arxiv.org/abs/2507.13380"
"""Address of the paper on the method."""


def citation_of(manifest: Mapping[str, Any]) -> str:
    """Return the BibTeX of the method and of a release, by its manifest without the key `citation`."""
    rows = sum(manifest["configs"]["all"]["rows"].values())
    model = re.sub(r"[^\w ./:@-]", "", printable(str(manifest["model"]["name"])))[:100].replace("_", r"\_")
    name, texts = manifest["name"].replace("_", r"\_"), "1 synthetic text" if rows == 1 else f"{rows:,} synthetic texts"
    return f"""{PAPER}
@misc{{{manifest["name"]}_{manifest["configs"]["all"]["digest"]},
  key   = {{{name}}},
  title = {{{name}: {texts} labelled with emotions}},
  note  = {{Made by PersonaGen {manifest["personagen"]} with {model}; recipe {manifest["fingerprint"][:12]}}}
}}"""
