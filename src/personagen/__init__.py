"""PersonaGen: labelled emotional text from staged virtual personas, published as a Hugging Face dataset.

    import personagen as pg

    release = pg.generate(rows=70, out="out")
    release.load()

Names are imported on first use (PEP 562), so that `import personagen` loads nothing heavy. The names of `__all__` are
the public Python API; everything below `personagen.builder` and `personagen.metrics` is private and may change.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from personagen.builder.version import __version__

if TYPE_CHECKING:
    from personagen.builder.api.comparison import Comparison
    from personagen.builder.api.generation import (
        agenerate,
        apreview,
        estimate,
        fill,
        generate,
        preview,
        prompts,
        status,
    )
    from personagen.builder.api.loading import load
    from personagen.builder.api.matching import amatch, match
    from personagen.builder.api.measurement import acompare, aevaluate, audit, compare, evaluate
    from personagen.builder.api.release import Release
    from personagen.builder.core import errors
    from personagen.builder.core.errors import PersonaGenError
    from personagen.builder.diff import diff
    from personagen.builder.planning.recipe import Recipe

__all__ = [
    "Comparison",
    "PersonaGenError",
    "Recipe",
    "Release",
    "__version__",
    "acompare",
    "aevaluate",
    "agenerate",
    "amatch",
    "apreview",
    "audit",
    "compare",
    "diff",
    "errors",
    "estimate",
    "evaluate",
    "fill",
    "generate",
    "load",
    "match",
    "preview",
    "prompts",
    "status",
]

_API = "personagen.builder.api"
_MODULES = {
    "Comparison": f"{_API}.comparison",
    "PersonaGenError": "personagen.builder.core.errors",
    "Recipe": "personagen.builder.planning.recipe",
    "Release": f"{_API}.release",
    "load": f"{_API}.loading",
    **dict.fromkeys(
        ("agenerate", "apreview", "estimate", "fill", "generate", "preview", "prompts", "status"), f"{_API}.generation"
    ),
    "diff": "personagen.builder.diff",
    **dict.fromkeys(("amatch", "match"), f"{_API}.matching"),
    **dict.fromkeys(("acompare", "aevaluate", "audit", "compare", "evaluate"), f"{_API}.measurement"),
}
"""Module of each lazy name, `errors` aside, which is a module itself."""

if not TYPE_CHECKING:  # else static analysis accepts every name

    def __getattr__(name: str) -> object:
        """Import a public name on first use."""
        if name == "errors":
            value = import_module("personagen.builder.core.errors")
        elif name in _MODULES:
            value = getattr(import_module(_MODULES[name]), name)
        else:
            raise AttributeError(f"module 'personagen' has no attribute {name!r}; it has {', '.join(__all__)}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return __all__
