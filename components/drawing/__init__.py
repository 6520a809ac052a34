"""Drawn datasets: crowds, counts and texts whose truth is known."""
