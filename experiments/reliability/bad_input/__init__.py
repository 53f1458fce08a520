"""Mistakes of users, kept as data, each of which has to end in one line."""
