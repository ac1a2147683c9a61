"""What operators see: structured logs, Prometheus metrics; and the one way to keep a task running."""
