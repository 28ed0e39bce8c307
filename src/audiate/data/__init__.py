"""Download, list, read and pair recordings and images: published ones, and your own."""
