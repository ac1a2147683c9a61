"""The scenes: each a function that plays on a stage and leaves everybody free for the next one."""
