"""Breaks a running stack from outside, at random and by a seed, and checks that nothing accepted is lost."""
