"""Exchanges: the protocol as plain generators, written once for both colours. They yield effects and keep their state in `Hand`."""
