"""Licence identifiers that the Hugging Face Hub accepts in a dataset card."""

import re

from personagen.builder.planning.suggestions import did_you_mean

LICENCES = (
    "apache-2.0", "mit", "openrail", "bigscience-openrail-m", "creativeml-openrail-m", "bigscience-bloom-rail-1.0",
    "bigcode-openrail-m", "afl-3.0", "artistic-2.0", "bsl-1.0", "bsd", "bsd-2-clause", "bsd-3-clause",
    "bsd-3-clause-clear", "c-uda", "cc", "cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0",
    "cc-by-sa-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-3.0",
    "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cdla-sharing-1.0",
    "cdla-permissive-1.0", "cdla-permissive-2.0", "wtfpl", "ecl-2.0", "epl-1.0", "epl-2.0", "etalab-2.0", "eupl-1.1",
    "eupl-1.2", "agpl-3.0", "gfdl", "gpl", "gpl-2.0", "gpl-3.0", "lgpl", "lgpl-2.1", "lgpl-3.0", "isc", "h-research",
    "intel-research", "lppl-1.3c", "ms-pl", "apple-ascl", "apple-amlr", "mpl-2.0", "odc-by", "odbl", "openmdw-1.0",
    "openmdw-1.1", "openrail++", "osl-3.0", "postgresql", "ofl-1.1", "ncsa", "unlicense", "zlib", "pddl", "lgpl-lr",
    "deepfloyd-if-license", "fair-noncommercial-research-license", "llama2", "llama3", "llama3.1", "llama3.2",
    "llama3.3", "llama4", "grok2-community", "gemma", "unknown", "other",
)  # fmt: skip
"""The identifiers of https://huggingface.co/docs/hub/repositories-licenses (huggingface/hub-docs, list of 2026-06-06).

For other licences: `other` and a name.
"""

LICENCE_KEYS = ("license", "license_name", "license_link")
"""Keys of the licence in a recipe and in a dataset card, spelled as the Hub spells them."""


def validate_licence(licence: str | None, name: str | None, link: str | None) -> None:
    """Raise ValueError for a licence that the Hub would refuse in a dataset card."""
    if licence is not None and licence not in LICENCES:
        raise ValueError(
            f"license: the Hub knows no {licence[:80]!r}{did_you_mean(licence[:80], LICENCES)}; "
            "name one of https://huggingface.co/docs/hub/repositories-licenses, or other with a license_name"
        )
    if licence == "other" and name is None:
        raise ValueError("license: other needs a license_name, such as my-license-1.0")
    if licence != "other" and (name is not None or link is not None):
        raise ValueError("license_name and license_link go with license: other; leave them out or set it")
    if name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,95}", name):
        raise ValueError(f"license_name: got {name[:80]!r}, wanted letters, digits, '.', '-', '_' and '+'")
    if link is not None and not re.fullmatch(r"LICENSE(\.md)?|#[a-z0-9-]{1,80}|https?://[!-;=?-~]{1,500}", link):
        raise ValueError(f"license_link: got {link[:80]!r}, wanted LICENSE, LICENSE.md, a URL or a #section")
