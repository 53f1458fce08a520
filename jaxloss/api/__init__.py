"""What `jaxloss` offers by name: runs, their results, and losses as functions."""
