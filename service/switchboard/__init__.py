"""The desk: lock-free load, decide, save, tell. `Switchboard.do` is the only way to change a call."""
