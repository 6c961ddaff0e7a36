"""The rooms of PersonaGen, from recipe to published release.

Private: modules, functions and signatures below this package change without notice. The public Python API is
`import personagen`.
"""

from personagen.builder.version import __version__

__all__ = ["__version__"]
