"""The front door: REST and sockets, who may come in, and what is answered."""
