"""The channels by which people are reached outside the sockets: each one file, one provider's way of being asked."""
