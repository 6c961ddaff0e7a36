"""Parse the command line, call the package and print the results."""
