"""What is typed: the groups of the command line that are too long for cli.py, and how all of them speak."""
