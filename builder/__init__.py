"""PersonaGen: emotional text from staged virtual personas, published as a Hugging Face dataset."""

from personagen.builder.version import __version__

__all__ = ["__version__"]
