"""Lesson 2-2: wait and try again."""
