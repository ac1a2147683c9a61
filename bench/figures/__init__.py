"""The measurements, one file for each; each gives rows of the table."""
