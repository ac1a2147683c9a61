"""The performance figures: every one a ratio, ours beside a peer or a limit, taken in one run on one machine."""
