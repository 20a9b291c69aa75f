"""Lesson 2-3: how big a datagram can be."""
