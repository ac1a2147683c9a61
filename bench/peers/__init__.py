"""Other calling servers, run beside ours on the same PostgreSQL when they are installed.

A peer is a class with `name`, `kind` (of load), `ringing` (whether a cycle has the step "it rings at the callee"; the
first is the one that counts), `easy_rate` (calls per second that do not strain it),
`missing()` (the command that installs it, or None), `start(folder, postgres)`, `pid`, `load(pairs, ringing=...)`
(the configuration of its load generator) and `stop()`.
"""
