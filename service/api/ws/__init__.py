"""The live socket `/v1/ws`: hello, welcome, commands, and everything that is told to a device."""
