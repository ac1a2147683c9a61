"""The back door: webhooks, test users, told presence; later push, media control, archives."""
