"""The SFU worker: a child process that forwards encoded RTP between the participants of its rooms.

It knows neither the database nor the switchboard; all it hears and says goes over its control channel.
"""
