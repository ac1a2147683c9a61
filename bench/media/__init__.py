"""Synthetic WebRTC clients, light enough that a forwarder is what they measure: also used by tests/media."""
