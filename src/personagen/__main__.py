"""Run the `personagen` command: python -m personagen."""

from personagen.builder.cli.main import main

if __name__ == "__main__":
    main()
