"""Sockets connected to this process, and the bus between replicas (wake-ups only)."""
