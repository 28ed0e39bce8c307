"""Data sets and folders of your own: download, read, pair."""
