"""The pure core: no loop, no database, no clock but the one in the test."""
