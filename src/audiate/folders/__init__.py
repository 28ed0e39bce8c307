"""Process a folder of files into a folder of results, and go on after interruptions."""
