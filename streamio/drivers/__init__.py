"""The only rooms that do I/O: each performs the effects of an exchange in one colour."""
