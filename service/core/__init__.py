"""What is true: the pure call machine. No I/O, no clock, no randomness, no logging.

Start reading at :mod:`service.core.machine`; the words are in :mod:`service.core.vocabulary`.
"""
