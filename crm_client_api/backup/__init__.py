"""Backups of the whole box: made, sealed, tried out, kept in generations, and brought back onto a blank box."""
