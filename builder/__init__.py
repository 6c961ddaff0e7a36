"""PersonaGen: emotional text from staged virtual personas, published as a Hugging Face dataset."""

if __name__ != "personagen.builder":
    raise ImportError(f"import personagen.builder, not {__name__}: the folder is installed under that name")

from personagen.builder.version import __version__

__all__ = ["__version__"]
