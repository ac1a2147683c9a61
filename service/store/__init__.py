"""What is remembered: the only room with SQL. Functions take a connection."""
