"""The load generator: a process of its own that plays calls against one server, cheaply."""
