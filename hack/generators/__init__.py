"""Programs that write committed files from the code; each has `--check`, which says when a file is stale."""
