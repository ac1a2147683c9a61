"""What is said aloud: the shapes of REST, socket frames and event envelopes; tokens; signatures."""
