"""Servers on loopback, their health, and what a machine lacks to run them."""
