"""Every figure the documentation quotes comes from here."""
