"""Networks, one a file, and how they are stored and found."""
