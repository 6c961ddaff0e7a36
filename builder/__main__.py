"""`python -m personagen.builder` is the `personagen` command."""

from personagen.builder.cli import main

main()
