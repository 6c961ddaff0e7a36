"""Write the tables of a release: their columns, their files, and the order of their rows."""
