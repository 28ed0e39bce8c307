"""The papers' tables, one module for each."""
