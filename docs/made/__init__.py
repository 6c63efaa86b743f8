"""The pages of the reference that are made from the code; ``docs/pages.py`` writes them."""
