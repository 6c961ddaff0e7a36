"""`python -m personagen.builder` is the `personagen` command."""

from personagen.builder.cli.main import main

main()
