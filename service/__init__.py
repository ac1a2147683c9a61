"""Hookswitch: a call-orchestration service. See README.md for the map of the rooms."""
