"""Lesson 2-1: one datagram there and back."""
