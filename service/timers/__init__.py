"""What happens by itself: deadlines, leases, retention. PostgreSQL remembers, APScheduler only ticks."""
