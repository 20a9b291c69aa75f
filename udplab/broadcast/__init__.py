"""Lesson 2-4: one datagram for everyone."""
