"""Media: who carries it. `relayed` passes signals between the clients, `local` runs an SFU worker for each call."""
