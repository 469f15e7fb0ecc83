"""Figures a vendor's tools report of a user's own builds: read, kept as rows, and fitted into corrections of costs."""
